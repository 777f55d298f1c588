package scheduler

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/events"
)

// TestPlacementSaysWhatItAnswers: the pod's own newest event, the one that made
// room for it if it was refused before, and the trace of who asked for the pod,
// also when another process leads by then.
func TestPlacementSaysWhatItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
		pod := events.Key{Resource: "pods", Namespace: "default", Name: "p"}
		stop := h.start("one")
		h.do([]string{"pod", "p", "cpu=1"})
		h.append(&events.Event{
			Key: pod, Type: events.Updated, Traceparent: trace, ContentType: events.ContentPatch, Data: []byte(`{"metadata":{"labels":{"a":"b"}}}`),
		})
		synctest.Wait() // refused: there is no node
		stop()
		stop = h.start("two")
		defer stop()
		synctest.Wait()
		h.do([]string{"node", "n1", "cpu=4", "memory=8Gi"})
		synctest.Wait()
		var own, room uint64
		for e, err := range h.bus.Log().Read(t.Context(), 1) {
			switch {
			case err != nil:
				t.Fatal(err)
			case e.Key.Resource == "nodes":
				room = e.Sequence
			case e.Key != pod:
			case e.Type == events.Scheduled:
				if !slices.Equal(e.Cause, []uint64{own, room}) || e.Traceparent != trace {
					t.Errorf("the placement answers %v in trace %q, want %d and %d", e.Cause, e.Traceparent, own, room)
				}
				return
			default:
				own = e.Sequence
				if e.Type == events.Unschedulable && e.Traceparent != "" && e.Traceparent != trace {
					t.Errorf("the refusal is in trace %q", e.Traceparent)
				}
			}
		}
		t.Error("the pod has no node")
	})
}
