package news_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/registry/core/event"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/news"
	"github.com/reckon-project/reckon/projections"
)

// volatile stands in for the store over VOLATILE, which these tests don't write.
type volatile struct{ storage.Interface }

func (volatile) GetCurrentResourceVersion(context.Context) (uint64, error) { return 0, nil }
func (volatile) Versioner() storage.Versioner                              { return storage.APIObjectVersioner{} }

// desk is a log whose news can be read.
type desk struct {
	t     *testing.T
	at    atomic.Int64 // what the clock shows, in nanoseconds
	log   bus.Log
	fold  *projections.Projection
	store storage.Interface
}

func newDesk(t *testing.T, o news.Options) *desk {
	d := &desk{t: t}
	d.at.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	b := memory.New(d.now)
	d.log, d.fold = b.Log(), projections.New(b.Log())
	d.run(d.fold.Run)
	d.restart(o)
	return d
}

// restart begins a book anew on the same log.
func (d *desk) restart(o news.Options) {
	b := memory.New(d.now)
	o.Log, o.Volatile = d.fold, projections.New(b.Volatile(), projections.Volatile())
	o.Now = d.now
	book := news.New(o)
	d.store = book.Over(volatile{}, "/events")
	d.run(o.Volatile.Run)
	d.run(book.Run)
}

func (d *desk) now() time.Time { return time.Unix(0, d.at.Load()).UTC() }

// later lets time pass; the book may be looking at the clock.
func (d *desk) later(by time.Duration) { d.at.Add(int64(by)) }

// run runs a part until the test ends.
func (d *desk) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- part(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			d.t.Error(err)
		}
	})
}

// append appends a decision on the pod of a name, owned by the ReplicaSet web.
func (d *desk) append(pod string, e events.Event) {
	d.t.Helper()
	yes := true
	e.Prefix, e.Key = events.PrefixDecision, events.Key{Resource: "pods", Namespace: "default", Name: pod}
	e.ID, e.Time = bus.NewID(), d.now()
	if e.Type == events.Created {
		data, err := events.EncodeObject(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: pod, Namespace: "default", UID: types.UID(pod + "-uid"),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "web-uid", Controller: &yes}},
		}})
		if err != nil {
			d.t.Fatal(err)
		}
		e.ContentType, e.Data = events.ContentObject, data
	} else {
		e.ContentType, e.Data = events.ContentPatch, []byte(`{}`)
	}
	seq, err := d.log.Append(d.t.Context(), bus.Entry{Event: &e})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.fold.WaitFor(d.t.Context(), seq); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) list(selector fields.Selector) []string {
	d.t.Helper()
	list := &api.EventList{}
	if err := d.store.GetList(d.t.Context(), "/events/default/", storage.ListOptions{Recursive: true, Predicate: event.Matcher(labels.Everything(), selector)}, list); err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, e := range list.Items {
		out = append(out, fmt.Sprintf("%s %s/%s %s ×%d: %s (%s)", e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Count, e.Message, e.Source.Component))
	}
	return out
}

func (d *desk) want(got []string, want ...string) {
	d.t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		d.t.Errorf("told\n%q, want\n%q", got, want)
	}
}

func created(by string) events.Event {
	return events.Event{Type: events.Created, Source: "gateway", Verb: "create", Actor: by, Reason: "SuccessfulCreate", Note: "Created pod: a"}
}

func TestWhatIsTold(t *testing.T) {
	d := newDesk(t, news.Options{})
	d.append("a", created("system:serviceaccount:kube-system:replicaset-controller"))
	d.append("a", events.Event{Type: events.Updated, Source: "gateway", Verb: "patch", Actor: "admin", Reason: "Patched"})
	failed := events.Event{Type: events.Unschedulable, Source: "scheduler", Reason: "FailedScheduling", Note: "no node"}
	d.append("a", failed)
	d.append("a", failed)
	d.append("a", events.Event{Type: events.Scheduled, Source: "scheduler", Reason: "Scheduled", Note: "to n1"})
	d.append("nobody", events.Event{Type: events.Scheduled, Source: "scheduler", Reason: "Scheduled", Note: "void"})

	d.want(d.list(fields.OneTermEqualSelector("involvedObject.uid", "a-uid")),
		"Warning Pod/a FailedScheduling ×2: no node (default-scheduler)", "Normal Pod/a Scheduled ×1: to n1 (default-scheduler)")
	d.want(d.list(fields.OneTermEqualSelector("involvedObject.name", "web")),
		"Normal ReplicaSet/web SuccessfulCreate ×1: Created pod: a (replicaset-controller)")
	d.want(d.list(fields.OneTermEqualSelector("involvedObject.name", "nothing")))
}

func TestNewsGetsOld(t *testing.T) {
	d := newDesk(t, news.Options{Keep: time.Hour, Most: 3})
	d.append("a", created("admin"))
	for i := range 4 {
		d.append("a", events.Event{Type: events.Updated, Source: "test", Reason: "Counting", Note: fmt.Sprint(i)})
	}
	told := func(i int) string { return fmt.Sprintf("Normal Pod/a Counting ×1: %d (test)", i) }
	d.want(d.list(fields.Everything()), told(1), told(2), told(3))
	d.later(59 * time.Minute)
	d.append("a", events.Event{Type: events.Updated, Source: "test", Reason: "Counting", Note: "3"})
	d.later(2 * time.Minute)
	d.want(d.list(fields.Everything()), "Normal Pod/a Counting ×2: 3 (test)")
}

func TestWatchNews(t *testing.T) {
	d := newDesk(t, news.Options{Most: 1})
	d.append("a", created("admin"))
	list := &api.EventList{}
	everything := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
	if err := d.store.GetList(t.Context(), "/events", everything, list); err != nil {
		t.Fatal(err)
	}
	everything.ResourceVersion = list.ResourceVersion
	w, err := d.store.Watch(t.Context(), "/events", everything)
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range []string{"x", "x", "y"} {
		d.append("a", events.Event{Type: events.Updated, Source: "test", Reason: "Counting", Note: note})
		d.list(fields.Everything()) // until the book has it
	}
	var got []string
	for range 5 {
		e := <-w.ResultChan()
		got = append(got, fmt.Sprintf("%s %s ×%d", e.Type, e.Object.(*api.Event).Message, e.Object.(*api.Event).Count))
	}
	// The first, then what makes room for the next.
	d.want(got, "ADDED x ×1", "DELETED Created pod: a ×1", "MODIFIED x ×2", "ADDED y ×1", "DELETED x ×2")
	w.Stop()
	for range w.ResultChan() {
	}

	everything.ResourceVersion = "1"
	w, err = d.store.Watch(t.Context(), "/events", everything)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-w.ResultChan(); e.Type != watch.Error {
		t.Errorf("a watch from long ago got %v", e)
	}
}
