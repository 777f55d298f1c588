package controllertest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// World is a control plane in a synctest bubble.
type World struct {
	t          testing.TB
	Bus        *memory.Bus
	Projection *projections.Projection
	API        *API
	Nodes      *Nodes
	// InFlight is how many intents are under way at once (0: the runtime's
	// default). With 1 they come in the log as they were decided.
	InFlight int

	ctx  context.Context
	stop context.CancelFunc
	runs []chan error
}

// NewWorld makes a world in which nothing runs but its projection. Call it in a
// synctest bubble, and Stop at its end.
func NewWorld(t testing.TB) *World {
	w := &World{t: t, Bus: memory.New(time.Now)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.Projection = projections.New(w.Bus.Log())
	w.API = &API{Bus: w.Bus, Projection: w.Projection, Clock: time.Now}
	w.Nodes = &Nodes{Bus: w.Bus, Projection: w.Projection, Clock: time.Now}
	w.Go(w.Projection.Run)
	return w
}

// Go runs f until Stop.
func (w *World) Go(f func(context.Context) error) {
	done := make(chan error, 1)
	w.runs = append(w.runs, done)
	go func() { done <- f(w.ctx) }()
}

// Run runs controllers until Stop.
func (w *World) Run(cs ...*controllers.Controller) {
	w.Go(func(ctx context.Context) error {
		return controllers.Run(ctx, controllers.Options{Bus: w.Bus, Projection: w.Projection, Intake: w.API.Intake, Holder: "test", InFlight: w.InFlight}, cs...)
	})
}

// Schedule runs pods on pretended nodes of these names.
func (w *World) Schedule(nodes ...string) {
	w.Nodes.Rename(nodes...)
	w.Go(w.Nodes.Run)
}

// Stop ends everything and fails the test if something had failed before.
func (w *World) Stop() {
	w.stop()
	for _, done := range w.runs {
		if err := <-done; err != nil && w.ctx.Err() == nil {
			w.t.Errorf("ended with: %v", err)
		}
	}
}

// Settle waits until nothing happens without time passing.
func (w *World) Settle() { synctest.Wait() }

// Advance lets time pass, and waits for what comes of it.
func (w *World) Advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// Snapshot is the newest state.
func (w *World) Snapshot() *projections.Snapshot { return w.Projection.Snapshot() }

// Create creates an object as the user "alice".
func (w *World) Create(kind controllers.Kind, obj runtime.Object) {
	w.t.Helper()
	m := obj.(metav1.Object)
	data, err := events.EncodeObject(obj)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(http.MethodPost, kind.Key(m.GetNamespace(), ""), "", data)
}

// Patch merges a JSON patch into an object.
func (w *World) Patch(k events.Key, patch string, args ...any) {
	w.t.Helper()
	w.write(http.MethodPatch, k, "", fmt.Appendf(nil, patch, args...))
}

// PatchStatus is Patch of the status subresource.
func (w *World) PatchStatus(k events.Key, patch string, args ...any) {
	w.t.Helper()
	w.write(http.MethodPatch, k, "status", fmt.Appendf(nil, patch, args...))
}

// Delete deletes an object; policy may be "".
func (w *World) Delete(k events.Key, policy metav1.DeletionPropagation) {
	w.t.Helper()
	body := "{}"
	if policy != "" {
		body = fmt.Sprintf(`{"propagationPolicy":%q}`, policy)
	}
	w.write(http.MethodDelete, k, "", []byte(body))
}

func (w *World) write(method string, k events.Key, subresource string, body []byte) {
	w.t.Helper()
	req := write{user: "alice", method: method, header: http.Header{}, key: k, subresource: subresource, body: body}
	if _, err := w.API.do(w.ctx, req); err != nil {
		w.t.Fatalf("%s %s: %v", method, k, err)
	}
}

// Get gives an object of the newest state, and fails the test if there is none.
func Get[T runtime.Object](w *World, k events.Key) T {
	w.t.Helper()
	v, ok := projections.Get[T](w.Snapshot(), k)
	if !ok {
		w.t.Fatalf("there is no %s", k)
	}
	return v
}
