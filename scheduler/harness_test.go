package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// harness is a log with a projection and, once started, a scheduler.
type harness struct {
	t          testing.TB
	bus        bus.Bus
	projection *projections.Projection
	ctx        context.Context
	group      sync.WaitGroup
	shown      uint64
}

func newHarness(t testing.TB, wrap func(bus.Bus) bus.Bus, options ...projections.Option) *harness {
	ctx, cancel := context.WithCancel(context.Background())
	h := &harness{t: t, bus: memory.New(time.Now), ctx: ctx}
	if wrap != nil {
		h.bus = wrap(h.bus)
	}
	h.projection = projections.New(h.bus.Log(), options...)
	h.group.Go(func() { h.projection.Run(ctx) }) //nolint:errcheck // ends with ctx
	t.Cleanup(func() {
		cancel()
		h.group.Wait()
	})
	return h
}

// start runs a scheduler; stop ends it.
func (h *harness) start(holder string) (stop func()) {
	return h.startOptions(Options{Holder: holder, API: patches{h}})
}

// startOptions is start with other options.
func (h *harness) startOptions(o Options) (stop func()) {
	o.Bus, o.Projection = h.bus, h.projection
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan struct{})
	h.group.Go(func() {
		defer close(done)
		if err := New(o).Run(ctx); ctx.Err() == nil {
			h.t.Errorf("scheduler stopped: %v", err)
		}
	})
	return func() { cancel(); <-done }
}

// append stores an event by somebody else and waits for its fold.
func (h *harness) append(e *events.Event) uint64 {
	h.t.Helper()
	if e.Prefix == "" {
		e.Prefix = events.PrefixDecision
	}
	e.ID, e.Source, e.Time = bus.NewID(), "gateway", time.Now()
	seq, err := h.bus.Log().Append(h.ctx, bus.Entry{Event: e})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.projection.WaitFor(h.ctx, seq); err != nil {
		h.t.Fatal(err)
	}
	return seq
}

func (h *harness) create(resource string, o runtime.Object) {
	h.t.Helper()
	m := o.(metav1.Object)
	m.SetUID(types.UID(resource + "-" + m.GetNamespace() + "-" + m.GetName() + "-" + fmt.Sprint(h.projection.Snapshot().Position())))
	m.SetCreationTimestamp(metav1.Time{Time: time.Now().Truncate(time.Second)})
	data, err := events.EncodeObject(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.append(&events.Event{Key: keyOf(resource, m), Type: events.Created, ContentType: events.ContentObject, Data: data})
}

func (h *harness) patch(k events.Key, typ string, patch any) {
	h.t.Helper()
	data, err := json.Marshal(patch)
	if err != nil {
		h.t.Fatal(err)
	}
	h.append(&events.Event{Key: k, Type: typ, ContentType: events.ContentPatch, Data: data})
}

// trim removes the history up to now.
func (h *harness) trim() {
	h.t.Helper()
	before := h.projection.Snapshot().Position() + 1
	h.append(&events.Event{Key: projections.LogKey, Type: events.Trimmed, ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"before":%d}`, before)})
	if err := h.bus.Log().Trim(h.ctx, before); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) delete(k events.Key) { h.append(&events.Event{Key: k, Type: events.Deleted}) }

func keyOf(resource string, m metav1.Object) events.Key {
	return events.Key{Resource: resource, Namespace: m.GetNamespace(), Name: m.GetName()}
}

func (h *harness) pod(name string) *corev1.Pod {
	pod, _ := projections.Get[*corev1.Pod](h.projection.Snapshot(), events.Key{Resource: "pods", Namespace: "default", Name: name})
	return pod
}
