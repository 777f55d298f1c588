package past_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/reckon-project/reckon/gateway/past"
	"github.com/reckon-project/reckon/gateway/store"
)

func TestPast(t *testing.T) {
	s := newStory(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *story)
	}{
		{"objects and lists", testObjects},
		{"what the moment is", testMoments},
		{"tables", testTables},
		{"watches", testWatches},
		{"versions of the past", testVersions},
		{"custom resources", testCustom},
		{"discovery", testDiscovery},
		{"OpenAPI", testOpenAPI},
		{"secrets", testSecrets},
		{"events", testEvents},
		{"what isn't a read", testWrites},
		{"rights", testRights},
		{"where the history begins", testBeginning}, // the last: it trims
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func podNames(l *corev1.PodList) string {
	var names []string
	for _, p := range l.Items {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

func testObjects(t *testing.T, s *story) {
	then := s.clientAt(t, s.then).CoreV1()
	if m := must(then.ConfigMaps("default").Get(t.Context(), "settings", metav1.GetOptions{}))(t); m.Data["color"] != "red" {
		t.Errorf("the color then was %s", m.Data["color"])
	}
	if m := must(s.admin.CoreV1().ConfigMaps("default").Get(t.Context(), "settings", metav1.GetOptions{}))(t); m.Data["color"] != "blue" {
		t.Errorf("the color now is %s", m.Data["color"])
	}
	if _, err := then.Pods("default").Get(t.Context(), "new", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod made later: %v", err)
	}
	for _, list := range []struct {
		options metav1.ListOptions
		want    string
	}{
		{metav1.ListOptions{}, "old-0 old-1 old-2"},
		{metav1.ListOptions{ResourceVersion: "0"}, "old-0 old-1 old-2"},
		{metav1.ListOptions{LabelSelector: "app=new"}, ""},
		{metav1.ListOptions{LabelSelector: "app=old", FieldSelector: "metadata.name=old-1"}, "old-1"},
	} {
		l := must(then.Pods("").List(t.Context(), list.options))(t)
		if got := podNames(l); got != list.want || l.ResourceVersion != fmt.Sprint(s.then) {
			t.Errorf("%+v lists %q at %s, want %q at %d", list.options, got, l.ResourceVersion, list.want, s.then)
		}
	}
	first := must(then.Pods("default").List(t.Context(), metav1.ListOptions{Limit: 2}))(t)
	rest := must(then.Pods("default").List(t.Context(), metav1.ListOptions{Limit: 2, Continue: first.Continue}))(t)
	if got := podNames(first) + " | " + podNames(rest); got != "old-0 old-1 | old-2" || *first.RemainingItemCount != 1 {
		t.Errorf("in pages: %s", got)
	}
	if l := must(then.ConfigMaps("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) == 0 {
		t.Error("no config maps in all namespaces")
	}
}

func testMoments(t *testing.T, s *story) {
	var m past.Moment
	if err := json.Unmarshal([]byte(s.raw(t, "", "application/json")), &m); err != nil || m.Sequence != s.then || m.Time.IsZero() {
		t.Errorf("the moment is %+v: %v", m, err)
	}
	for _, when := range []string{"now", "0s", time.Now().UTC().Format(time.RFC3339Nano)} {
		if l := must(s.clientAt(t, when).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}))(t); podNames(l) != "new" {
			t.Errorf("at %s there are %s", when, podNames(l))
		}
	}
	byTime := s.clientAt(t, m.Time.UTC().Format(time.RFC3339Nano)).CoreV1()
	if l := must(byTime.Pods("default").List(t.Context(), metav1.ListOptions{}))(t); podNames(l) != "old-0 old-1 old-2" {
		t.Errorf("by its time there are %s", podNames(l))
	}
	for _, wrong := range []struct{ when, says string }{
		{"9999999", "position 9999999 is in the future: the log ends at"},
		{"2999-01-01T00:00:00Z", "is in the future: it is"},
		{"yesterday", "moment \"yesterday\" is none of a sequence like 12345"},
	} {
		_, err := s.clientAt(t, wrong.when).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), wrong.says) {
			t.Errorf("at %s: %v", wrong.when, err)
		}
	}
	_, err := s.clientAt(t, "10d").CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsGone(err) || !strings.Contains(err.Error(), "is before the history that is kept: it begins at 20") {
		t.Errorf("ten days ago: %v", err)
	}
}

func testTables(t *testing.T, s *story) {
	for _, name := range []string{"old-0", "new"} {
		if has, want := strings.Contains(s.raw(t, "/api/v1/namespaces/default/pods", table), fmt.Sprintf("%q", name)), name == "old-0"; has != want {
			t.Errorf("the table has %s: %v", name, has)
		}
	}
	// Ages are those of then: the pods had just been made.
	var got metav1.Table
	if err := json.Unmarshal([]byte(s.raw(t, "/api/v1/namespaces/default/pods/old-0", table)), &got); err != nil {
		t.Fatal(err)
	}
	column := slices.IndexFunc(got.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == "Age" })
	cell := got.Rows[0].Cells[column].(string)
	age, err := time.ParseDuration(cell)
	made := must(s.clientAt(t, s.then).CoreV1().Pods("default").Get(t.Context(), "old-0", metav1.GetOptions{}))(t)
	var m past.Moment
	if err := errors(err, json.Unmarshal([]byte(s.raw(t, "/", "application/json")), &m)); err != nil {
		t.Fatal(err)
	}
	if want := m.Time.Sub(made.CreationTimestamp.Time).Truncate(time.Second); age != want {
		t.Errorf("a pod's age is %s, it was %s", cell, want)
	}
}

func errors(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func testWatches(t *testing.T, s *story) {
	pods := s.clientAt(t, s.then).CoreV1().Pods("default")
	next := func(w watch.Interface) string {
		t.Helper()
		e, ok := <-w.ResultChan()
		if !ok {
			return "end"
		}
		return string(e.Type) + " " + e.Object.(metav1.ObjectMetaAccessor).GetObjectMeta().GetName()
	}
	seconds := int64(1)
	for _, test := range []struct {
		what    string
		options metav1.ListOptions
		want    string
	}{
		{"with the state", metav1.ListOptions{}, "ADDED old-0, ADDED old-1, ADDED old-2, end"},
		{"from a version", metav1.ListOptions{ResourceVersion: fmt.Sprint(s.then)}, "end"},
		{"from an earlier version", metav1.ListOptions{ResourceVersion: "1", FieldSelector: "metadata.name=old-0"}, "ADDED old-0, MODIFIED old-0, end"},
	} {
		test.options.TimeoutSeconds = &seconds // it stays quiet until then
		w := must(pods.Watch(t.Context(), test.options))(t)
		var got []string
		for len(got) == 0 || got[len(got)-1] != "end" {
			got = append(got, next(w))
		}
		if seen := strings.Join(got, ", "); seen != test.want {
			t.Errorf("a watch %s sees %s, want %s", test.what, seen, test.want)
		}
	}
}

// testVersions: any version of the history can be listed and watched from,
// without /at too.
func testVersions(t *testing.T, s *story) {
	pods := s.admin.CoreV1().Pods("default")
	l := must(pods.List(t.Context(), metav1.ListOptions{ResourceVersion: fmt.Sprint(s.then), ResourceVersionMatch: metav1.ResourceVersionMatchExact}))(t)
	if podNames(l) != "old-0 old-1 old-2" || l.ResourceVersion != fmt.Sprint(s.then) {
		t.Errorf("exactly at %d there are %s at %s", s.then, podNames(l), l.ResourceVersion)
	}
	w := must(pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1"}))(t)
	defer w.Stop()
	var seen []string
	for len(seen) == 0 || seen[len(seen)-1] != "ADDED new" {
		e := <-w.ResultChan()
		pod, ok := e.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("%s of %+v", e.Type, e.Object)
		}
		if e.Type != watch.Modified {
			seen = append(seen, string(e.Type)+" "+pod.Name)
		}
	}
	slices.Sort(seen[3:6]) // they were deleted at once
	if got, want := strings.Join(seen, ", "), "ADDED old-0, ADDED old-1, ADDED old-2, DELETED old-0, DELETED old-1, DELETED old-2, ADDED new"; got != want {
		t.Errorf("from the beginning on: %s, want %s", got, want)
	}
}

func testSecrets(t *testing.T, s *story) {
	then := s.clientAt(t, s.then).CoreV1().Secrets("default")
	if kept := must(then.Get(t.Context(), "kept", metav1.GetOptions{}))(t); string(kept.Data["password"]) != "first" || kept.Annotations[store.AnnotationDestroyed] != "" {
		t.Errorf("a secret that still exists was %+v", kept)
	}
	shown := []corev1.Secret{*must(then.Get(t.Context(), "gone", metav1.GetOptions{}))(t)}
	shown = append(shown, must(then.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=gone"}))(t).Items...)
	for _, gone := range shown {
		if value, ok := gone.Data["password"]; !ok || len(value) > 0 || !strings.Contains(gone.Annotations[store.AnnotationDestroyed], "destroyed") {
			t.Errorf("a deleted secret is shown as %+v", gone)
		}
	}
	if len(shown) != 2 {
		t.Errorf("shown %d times", len(shown))
	}
}

func testEvents(t *testing.T, s *story) {
	then := s.clientAt(t, s.then)
	pod := must(then.CoreV1().Pods("default").Get(t.Context(), "old-0", metav1.GetOptions{}))(t)
	list := must(then.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)}))(t)
	if len(list.Items) != 1 || list.Items[0].Reason != "FailedScheduling" {
		t.Errorf("the log had told %v", list.Items)
	}
	before := s.clientAt(t, pod.ResourceVersion) // of the event itself
	if l := must(before.CoreV1().Events("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) == 0 {
		t.Error("its own position doesn't tell it")
	}
	if l := must(s.clientAt(t, 2).CoreV1().Events("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) != 0 {
		t.Errorf("at the beginning the log had told %v", l.Items)
	}
	if l := must(then.CoordinationV1().Leases("").List(t.Context(), metav1.ListOptions{}))(t); len(l.Items) != 0 {
		t.Errorf("leases have a past: %v", l.Items)
	}
}
