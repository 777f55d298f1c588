package events_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// folded is a pod bound to n1 at version 2, its last report being 1.5.
func folded(t *testing.T) *events.Object {
	t.Helper()
	var o *events.Object
	for i, e := range podLife()[:3] {
		e.Sequence = uint64(i + 1)
		if e.Prefix == events.PrefixFact {
			e.Counter = events.Counter{Incarnation: 1, N: 5}
		}
		var err error
		if o, err = events.Fold(o, e); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestFoldRules(t *testing.T) {
	key := events.Key{Resource: "pods", Namespace: "default", Name: podName}
	gone := &events.Object{Key: key, Version: 9, Decision: 9}
	decision := func(typ, content, data string) *events.Event {
		return &events.Event{Prefix: events.PrefixDecision, Key: key, Type: typ, ContentType: content, Data: []byte(data)}
	}
	fact := func(change func(e *events.Event)) *events.Event {
		e := &events.Event{Prefix: events.PrefixFact, Reporter: "n1", Key: key, Type: events.Reported, UID: podUID,
			Counter: events.Counter{Incarnation: 1, N: 6}, ContentType: events.ContentPatch, Data: []byte(smallJSON)}
		change(e)
		return e
	}
	conditional := func(version uint64) *events.Event {
		e := decision(events.Updated, events.ContentPatch, `{"metadata":{"labels":{"a":"b"}}}`)
		e.IfVersion = version
		return e
	}
	live := folded(t)
	for name, c := range map[string]struct {
		old  *events.Object
		e    *events.Event
		void string // "": takes effect
	}{
		"created":                    {nil, decision(events.Created, events.ContentObject, podJSON), ""},
		"created again":              {gone, decision(events.Created, events.ContentObject, podJSON), ""},
		"created twice":              {live, decision(events.Created, events.ContentObject, podJSON), "exists already"},
		"created by a patch":         {nil, decision(events.Created, events.ContentPatch, `{}`), "not a whole object"},
		"created under another name": {nil, decision(events.Created, events.ContentObject, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"other","namespace":"default"}}`), "the subject says"},
		"created from no JSON":       {nil, decision(events.Created, events.ContentObject, `pod`), "JSON"},
		"created with wrong case":    {nil, decision(events.Created, events.ContentObject, strings.Replace(podJSON, `"metadata"`, `"Metadata"`, 1)), "the subject says"},
		"created without kind":       {nil, decision(events.Created, events.ContentObject, `{"apiVersion":"v1"}`), "lacks apiVersion or kind"},
		"updated":                    {live, decision(events.Updated, events.ContentPatch, `{"spec":{"priority":3}}`), ""},
		"updated whole":              {live, decision(events.Updated, events.ContentObject, podJSON), ""},
		"updated, unknown field":     {live, decision(events.Updated, events.ContentPatch, `{"spec":{"nodename":"x","new":[1]}}`), ""},
		"a type never seen":          {live, decision("defragmented", events.ContentPatch, `{}`), ""},
		"without data":               {live, decision(events.Updated, "", ``), ""},
		"updated, but gone":          {gone, decision(events.Updated, events.ContentPatch, `{}`), "doesn't exist"},
		"updated, never there":       {nil, decision(events.Updated, events.ContentPatch, `{}`), "doesn't exist"},
		"renamed":                    {live, decision(events.Updated, events.ContentPatch, `{"metadata":{"name":"x"}}`), "the subject says"},
		"another kind":               {live, decision(events.Updated, events.ContentPatch, `{"kind":"Node"}`), "can't turn"},
		"wrong type":                 {live, decision(events.Updated, events.ContentPatch, `{"spec":{"priority":"high"}}`), "JSON"},
		"key twice":                  {live, decision(events.Updated, events.ContentPatch, `{"spec":{"priority":1,"priority":2}}`), "twice"},
		"more after the patch":       {live, decision(events.Updated, events.ContentPatch, `{} {}`), "more after"},
		"list":                       {live, decision(events.Updated, events.ContentPatch, `[]`), "want"},
		"unknown content":            {live, decision(events.Updated, "text/plain", ``), "unknown content type"},
		"at its version":             {live, conditional(live.Version), ""},
		"at an older version":        {live, conditional(live.Version - 1), "was decided at version"},
		"at a version, but gone":     {nil, conditional(7), "was decided at version"},
		"deleted":                    {live, decision(events.Deleted, "", ""), ""},
		"deleted twice":              {gone, decision(events.Deleted, "", ""), "doesn't exist"},
		"fact":                       {live, fact(func(*events.Event) {}), ""},
		"fact, next start":           {live, fact(func(e *events.Event) { e.Counter = events.Counter{Incarnation: 2, N: 1} }), ""},
		"fact again":                 {live, fact(func(e *events.Event) { e.Counter.N = 5 }), "not above"},
		"fact of an older start":     {live, fact(func(e *events.Event) { e.Counter = events.Counter{Incarnation: 0, N: 9} }), "not above"},
		"fact of another pod":        {live, fact(func(e *events.Event) { e.UID = "other" }), "reported on uid"},
		"fact without uid":           {live, fact(func(e *events.Event) { e.UID = "" }), "must carry the object's uid"},
		"fact of another node":       {live, fact(func(e *events.Event) { e.Reporter = "n2" }), "which is bound to"},
		"fact about spec":            {live, fact(func(e *events.Event) { e.Data = []byte(`{"status":{},"spec":{"nodeName":"n2"}}`) }), "status only"},
		"fact, unknown at the top":   {live, fact(func(e *events.Event) { e.Data = []byte(`{"x":1}`) }), "status only"},
		"fact removes status":        {live, fact(func(e *events.Event) { e.Data = []byte(`{"status":null}`) }), "can't remove status"},
		"fact, wrong type":           {live, fact(func(e *events.Event) { e.Data = []byte(`{"status":{"phase":1}}`) }), "JSON"},
		"fact, condition untyped":    {live, fact(func(e *events.Event) { e.Data = []byte(`{"status":{"conditions":[{"status":"True"}]}}`) }), "lacks its type"},
		"fact, whole object":         {live, fact(func(e *events.Event) { e.ContentType = events.ContentObject }), "patch of status"},
		"fact creates": {nil, fact(func(e *events.Event) {
			e.Type, e.ContentType, e.Data = events.Created, events.ContentObject, []byte(podJSON)
		}), "can't create"},
		"fact, gone": {gone, fact(func(*events.Event) {}), "doesn't exist"},
	} {
		t.Run(name, func(t *testing.T) {
			c.e.Sequence = 100
			next, err := events.Fold(c.old, c.e)
			if c.void == "" {
				if err != nil {
					t.Fatal(err)
				}
				if next.Version != 100 {
					t.Errorf("version %d", next.Version)
				}
				if next.Exists() && next.Meta().GetResourceVersion() != "100" {
					t.Errorf("resourceVersion %s", next.Meta().GetResourceVersion())
				}
			} else {
				var v *events.Void
				if !errors.Is(err, events.ErrVoid) || !errors.As(err, &v) || !strings.Contains(v.Why, c.void) {
					t.Fatalf("got %v, want void: … %s …", err, c.void)
				}
				if c.old != nil && (next.Version != c.old.Version || !reflect.DeepEqual(next.Value, c.old.Value)) {
					t.Error("a void event changed the object")
				}
			}
			if decided := c.e.Prefix != events.PrefixFact; decided != (next.Decision == 100) {
				t.Errorf("decision sequence %d", next.Decision)
			}
		})
	}
}

func TestJoinedCreatesANode(t *testing.T) {
	e := &events.Event{Sequence: 1, Prefix: events.PrefixDecision, Key: events.Key{Resource: "nodes", Name: "n1"},
		Type: events.Joined, ContentType: events.ContentObject, Data: []byte(classifyNode)}
	o, err := events.Fold(nil, e)
	if err != nil || !o.Exists() {
		t.Fatal(err)
	}
	e.Sequence = 2
	if _, err := events.Fold(o, e); !errors.Is(err, events.ErrVoid) {
		t.Errorf("got %v", err)
	}
}

func TestFactOfACustomController(t *testing.T) {
	o, err := events.Fold(nil, &events.Event{Sequence: 1, Prefix: events.PrefixDecision, Type: events.Created, ContentType: events.ContentObject,
		Key:  events.Key{Group: "example.com", Resource: "widgets", Namespace: "default", Name: "w"},
		Data: []byte(strings.Replace(classifyWidget, `"name":"w"`, `"name":"w","uid":"u"`, 1))})
	if err != nil {
		t.Fatal(err)
	}
	e := &events.Event{Sequence: 2, Prefix: events.PrefixFact, Reporter: "widgeteer", Key: o.Key, Type: events.Reported, UID: "u",
		Counter: events.Counter{N: 1}, ContentType: events.ContentPatch, Data: []byte(`{"status":{"ready":true,"conditions":[{"type":"Ready","status":"True"}]}}`)}
	if o, err = events.Fold(o, e); err != nil {
		t.Fatal(err)
	}
	e = &events.Event{Sequence: 3, Prefix: events.PrefixFact, Reporter: "widgeteer", Key: o.Key, Type: events.Reported, UID: "u",
		Counter: events.Counter{N: 2}, ContentType: events.ContentPatch, Data: []byte(`{"spec":{"size":4}}`)}
	if _, err = events.Fold(o, e); !errors.Is(err, events.ErrVoid) {
		t.Errorf("got %v", err)
	}
}

func TestFoldSharesWhatItDoesNotTouch(t *testing.T) {
	old := folded(t)
	before := old.Value.DeepCopyObject()
	next, err := events.Fold(old, &events.Event{Sequence: 9, Prefix: events.PrefixDecision, Key: old.Key, Type: events.Updated,
		ContentType: events.ContentPatch, Data: []byte(`{"metadata":{"annotations":{"a":"b"}},"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(old.Value, before) {
		t.Fatal("the old version changed")
	}
	a, b := old.Value.(*corev1.Pod), next.Value.(*corev1.Pod)
	if &a.Spec.Containers[0] != &b.Spec.Containers[0] || reflect.ValueOf(a.Labels).Pointer() != reflect.ValueOf(b.Labels).Pointer() {
		t.Error("spec.containers or labels were copied")
	}
	if len(b.Status.Conditions) != len(a.Status.Conditions)+1 || b.Annotations["a"] != "b" {
		t.Errorf("got %+v", b)
	}
}

// The fold reads no clock, no random source and nothing from outside: the
// package has no way to.
func TestThePackageIsPure(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			switch strings.Trim(spec.Path.Value, `"`) {
			case "math/rand", "math/rand/v2", "crypto/rand", "os", "net", "net/http", "io", "context", "log", "log/slog":
				t.Errorf("%s imports %s", path, spec.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && (x.Name == "time" || x.Name == "metav1") {
					switch n.Sel.Name {
					case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
						t.Errorf("%s uses %s.%s", path, x.Name, n.Sel.Name)
					}
				}
			}
			return true
		})
	}
}

func TestFoldIsDeterministic(t *testing.T) {
	fold := func() (out []string) {
		var o *events.Object
		for i, e := range podLife() {
			e.Sequence = uint64(i + 1)
			var err error
			if o, err = events.Fold(o, e); err != nil {
				t.Fatal(err)
			}
			if o.Exists() {
				data, err := events.EncodeObject(o.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, string(data))
			}
		}
		return out
	}
	want := fold()
	for range 20 {
		if !reflect.DeepEqual(fold(), want) {
			t.Fatal("the same events gave another state")
		}
	}
}
