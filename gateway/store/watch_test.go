package store_test

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/bus/memory"
)

// TestSlowWatcher: a watcher that doesn't read until what it missed is
// forgotten gets what it had, an error that says so, and its end.
func TestSlowWatcher(t *testing.T) {
	f := newFixture(t, setups[0], false)
	w, err := f.store.Watch(t.Context(), "/pods/", storage.ListOptions{ResourceVersion: "1", Recursive: true, Predicate: storage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	const most = 300 // more than wait in a watch's channel
	for i := range most {
		pod := &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p" + strconv.Itoa(i), Namespace: "ns"}}
		if err := f.store.Create(t.Context(), "/pods/ns/"+pod.Name, pod, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	waitForHub(t, f)
	f.hub.Forget(f.projection.Snapshot().Position())
	var n int
	var last watch.Event
	for e := range w.ResultChan() {
		n, last = n+1, e
	}
	status, ok := last.Object.(*metav1.Status)
	if last.Type != watch.Error && n != most { // it may have read all before they were forgotten
		t.Fatalf("after %d events the last is %v", n, last)
	}
	if ok && !apierrors.IsResourceExpired(&apierrors.StatusError{ErrStatus: *status}) {
		t.Errorf("the error is %v", status)
	}
}

// waitForHub waits until the hub has sorted everything: a new watch sees it.
func waitForHub(t *testing.T, f *fixture) {
	t.Helper()
	pod := &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: "last", Namespace: "ns"}}
	w, err := f.store.Watch(t.Context(), "/pods/ns/last", storage.ListOptions{
		ResourceVersion: strconv.FormatUint(f.projection.Snapshot().Position(), 10), Predicate: storage.Everything,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := f.store.Create(t.Context(), "/pods/ns/last", pod, nil, 0); err != nil {
		t.Fatal(err)
	}
	<-w.ResultChan()
}

// TestEncodedOnce: two watchers get one encoding of a change.
func TestEncodedOnce(t *testing.T) {
	f := newFixture(t, setups[0], false)
	var seen []runtime.Object
	watches := make([]watch.Interface, 2)
	for i := range watches {
		w, err := f.store.Watch(t.Context(), "/pods/", storage.ListOptions{ResourceVersion: "1", Recursive: true, Predicate: storage.Everything})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		watches[i] = w
	}
	pod := &example.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns"}}
	if err := f.store.Create(t.Context(), "/pods/ns/p", pod, nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, w := range watches {
		seen = append(seen, (<-w.ResultChan()).Object)
	}
	if seen[0] != seen[1] {
		t.Error("each watcher got an object of its own")
	}
	var out [2]bytes.Buffer
	for i, o := range seen {
		if err := f.codec.Codec.Encode(o, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	if out[0].Len() == 0 || out[0].String() != out[1].String() {
		t.Errorf("encoded as %q and %q", out[0].String(), out[1].String())
	}
}

// TestProgress: a bookmark that is asked for carries the log's position, also
// when nothing happened to the resource.
func TestProgress(t *testing.T) {
	f := newFixture(t, setups[0], false)
	pred := storage.Everything
	pred.AllowWatchBookmarks = true
	w, err := f.store.Watch(t.Context(), "/pods/", storage.ListOptions{ResourceVersion: "1", Recursive: true, Predicate: pred})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	waitForHub(t, f)
	if e := <-w.ResultChan(); e.Type != watch.Added { // it follows by now
		t.Fatalf("watched %v", e)
	}
	position := f.increase(t)
	for {
		if err := f.store.RequestWatchProgress(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := <-w.ResultChan()
		if e.Type != watch.Bookmark {
			t.Fatalf("watched %v", e)
		}
		if version, _ := strconv.ParseUint(e.Object.(*example.Pod).ResourceVersion, 10, 64); version >= position {
			return
		}
	}
}

// TestExactPast lists every past position, and pages of one.
func TestExactPast(t *testing.T) {
	c := newCluster(t, memory.New(time.Now), nil)
	pods := c.pods(t)
	create(t, pods, "/pods/default/web", newPod())
	versions := map[string]string{}
	for i := range 5 {
		label(t, pods, strconv.Itoa(i))
		o := c.log.Snapshot().Get(podKey)
		versions[strconv.FormatUint(o.Version, 10)] = strconv.Itoa(i)
	}
	for version, want := range versions {
		if got := labelAt(t, pods, version); got != want {
			t.Errorf("at %s the label is %s, want %s", version, got, want)
		}
	}
}
