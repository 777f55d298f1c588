package events_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

const (
	classifyDeployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"default","generation":1,"labels":{"a":"b"}},"spec":{"replicas":2,"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:1","env":[{"name":"PASSWORD","value":"hunter2"}]}]}}}}`
	classifyNode       = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"status":{"capacity":{"cpu":"2","memory":"4Gi","pods":"110"}}}`
	classifySecret     = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"default"},"data":{"key":"aHVudGVyMg=="}}`
	classifyWidget     = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"default"},"spec":{"replicas":1,"size":3}}`
)

func TestClassify(t *testing.T) {
	for name, c := range map[string]struct {
		old, patch, verb, subresource string
		typ, reason, note             string
	}{
		"scaled":           {classifyDeployment, `{"spec":{"replicas":5}}`, "patch", "", events.Scaled, "Scaled", "replicas 2 → 5"},
		"by scale":         {classifyDeployment, `{"spec":{"replicas":0}}`, "update", "scale", events.Scaled, "Scaled", "replicas 2 → 0"},
		"scaled, bookkept": {classifyDeployment, `{"metadata":{"generation":2,"managedFields":[{"manager":"x"}],"resourceVersion":"7"},"spec":{"replicas":5}}`, "patch", "", events.Scaled, "Scaled", "replicas 2 → 5"},
		"custom scaled":    {classifyWidget, `{"spec":{"replicas":2}}`, "patch", "", events.Scaled, "Scaled", "replicas 1 → 2"},
		"scaled and more":  {classifyDeployment, `{"spec":{"replicas":5,"minReadySeconds":3}}`, "patch", "", events.Updated, "Patched", "replicas 2 → 5, minReadySeconds none → 3"},
		"paused":           {classifyDeployment, `{"spec":{"paused":true}}`, "patch", "", events.Paused, "Paused", "paused none → true"},
		"restarted":        {classifyDeployment, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-21T12:00:00Z"}}}}}`, "patch", "", events.Restarted, "Restarted", "pods are replaced one by one"},
		"image":            {classifyDeployment, `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:2","env":[{"name":"PASSWORD","value":"hunter2"}]}]}}}}`, "update", "", events.Updated, "Updated", "image of container web: web:1 → web:2"},
		"env is private":   {classifyDeployment, `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:1","env":[{"name":"PASSWORD","value":"other"}]}]}}}}`, "update", "", events.Updated, "Updated", "env.PASSWORD.value of container web changed"},
		"label":            {classifyDeployment, `{"metadata":{"labels":{"app":"x"}}}`, "patch", "", events.Updated, "Patched", "label app added"},
		"label removed":    {classifyDeployment, `{"metadata":{"labels":null}}`, "patch", "", events.Updated, "Patched", "label a removed"},
		"status":           {classifyDeployment, `{"status":{"conditions":[{"type":"Available","status":"True"}]}}`, "update", "status", events.Updated, "UpdatedStatus", "condition Available added"},
		"cordoned":         {classifyNode, `{"spec":{"unschedulable":true}}`, "patch", "", events.Cordoned, "Cordoned", "takes no new pods"},
		"deleting":         {classifyDeployment, `{"metadata":{"deletionTimestamp":"2026-11-21T12:00:00Z","deletionGracePeriodSeconds":30,"finalizers":["foregroundDeletion"]}}`, "delete", "", events.Deleting, "Deleting", "within 30 s; waits for foregroundDeletion"},
		"secret":           {classifySecret, `{"data":{"key":"b3RoZXI=","new":"eA=="}}`, "patch", "", events.Updated, "Patched", "key key changed, key new added"},
		"nothing":          {classifyDeployment, `{}`, "patch", "", events.Updated, "Patched", ""},
	} {
		t.Run(name, func(t *testing.T) {
			old := decode(t, c.old)
			next, err := events.ApplyPatch(old, []byte(c.patch))
			if err != nil {
				t.Fatal(err)
			}
			typ, reason, note := events.Classify(old, next, c.verb, c.subresource)
			if typ != c.typ || reason != c.reason || note != c.note {
				t.Errorf("got  %s %s %q\nwant %s %s %q", typ, reason, note, c.typ, c.reason, c.note)
			}
		})
	}
}

func TestClassifyCreationAndRemoval(t *testing.T) {
	for name, c := range map[string]struct {
		old, next       runtime.Object
		typ, note, verb string
	}{
		"created": {nil, decode(t, classifyDeployment), events.Created, "", "create"},
		"joined":  {nil, decode(t, classifyNode), events.Joined, "cpu 2, memory 4Gi, pods 110", "create"},
		"deleted": {decode(t, classifyNode), nil, events.Deleted, "", "delete"},
	} {
		t.Run(name, func(t *testing.T) {
			typ, _, note := events.Classify(c.old, c.next, c.verb, "")
			if typ != c.typ || note != c.note {
				t.Errorf("got %s %q, want %s %q", typ, note, c.typ, c.note)
			}
		})
	}
}

func TestClassifyResumedAndUncordoned(t *testing.T) {
	old := decode(t, strings.Replace(classifyDeployment, `"replicas":2`, `"paused":true`, 1))
	next, err := events.ApplyPatch(old, []byte(`{"spec":{"paused":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if typ, _, _ := events.Classify(old, next, "patch", ""); typ != events.Resumed {
		t.Errorf("got %s", typ)
	}
	node := decode(t, `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"spec":{"unschedulable":true}}`)
	if typ, reason, _ := events.Classify(node, decode(t, classifyNode), "patch", ""); typ != events.Cordoned || reason != "Uncordoned" {
		t.Errorf("got %s %s", typ, reason)
	}
}

func TestNotesAreBoundedAndOnOneLine(t *testing.T) {
	old := decode(t, classifyWidget)
	next, err := events.ApplyPatch(old, []byte(`{"metadata":{"labels":{"`+strings.Repeat("l", 200)+`":"x"}},"spec":{"text":"a\nb"}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, _, note := events.Classify(old, next, "patch", "")
	if n := utf8.RuneCountInString(note); n > 120 || strings.ContainsAny(note, "\r\n") {
		t.Errorf("%d runes: %q", n, note)
	}
}

func decode(t *testing.T, data string) runtime.Object {
	t.Helper()
	obj, err := events.DecodeObject([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}
