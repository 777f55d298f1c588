package scheduler

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// detained is a bus whose first placement stays under way, and whose second has
// its scheduler wait.
type detained struct {
	bus.Bus
	placements int
	held       chan bus.Entry
	gate       chan struct{}
}

func (d *detained) Log() bus.Log { return detainedLog{d.Bus.Log(), d} }

type detainedLog struct {
	bus.Log
	of *detained
}

func (l detainedLog) Start(e bus.Entry) *bus.Pending {
	if e.Event.Type == events.Scheduled {
		l.of.placements++
		switch l.of.placements {
		case 1:
			p, _ := bus.NewPending()
			l.of.held <- e
			return p
		case 2:
			<-l.of.gate
		}
	}
	return l.Log.Start(e)
}

// TestTooSlowForTheHistory: a leader for which the history was trimmed past what
// it reads next goes on with an epoch of its own, so that what it had under way counts no more.
func TestTooSlowForTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &detained{held: make(chan bus.Entry, 1), gate: make(chan struct{})}
		h := newHarness(t, func(b bus.Bus) bus.Bus { d.Bus = b; return d }, projections.Buffer(4))
		stop := h.start("one")
		defer stop()
		synctest.Wait()
		first := h.projection.Snapshot().Epoch(Component)
		h.do([]string{"pod", "p0", "cpu=1"})
		h.do([]string{"pod", "p1", "cpu=1"})
		synctest.Wait()
		h.do([]string{"node", "n1", "cpu=4", "memory=8Gi"})
		synctest.Wait()
		for i := range 40 {
			h.do([]string{"pod", fmt.Sprint("q", i), "cpu=1"})
		}
		synctest.Wait()
		h.trim()
		close(d.gate)
		synctest.Wait()
		if now := h.projection.Snapshot().Epoch(Component); now == first {
			t.Error("it goes on in the epoch that has a placement under way")
		}
		late := <-d.held
		late.Expect = nil // as if nothing had happened to the pod
		seq, err := h.bus.Log().Append(t.Context(), late)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.projection.WaitFor(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		placed := 0
		for range h.projection.Snapshot().PodsOn("n1") {
			placed++
		}
		if placed != 4 || h.projection.Snapshot().Voids() != 1 {
			t.Errorf("%d pods are on a node for 4; %d voids, want the late placement's", placed, h.projection.Snapshot().Voids())
		}
	})
}

// TestWaitedLongerThanTheHistory: the log has no event of a pod left when a node
// comes that it fits on.
func TestWaitedLongerThanTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stop := h.start("one")
		defer stop()
		h.do([]string{"pod", "p", "cpu=1"})
		synctest.Wait()
		h.trim()
		h.do([]string{"node", "n1", "cpu=4", "memory=8Gi"})
		synctest.Wait()
		if on := h.pod("p").Spec.NodeName; on != "n1" {
			t.Errorf("the pod is on %q, want n1", on)
		}
	})
}
