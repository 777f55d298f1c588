package scheduler

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/events"
)

// TestOneLeads runs two schedulers: the second takes over where the first stopped,
// with an epoch of its own, and each pod is placed once.
func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stopOne := h.start("one")
		synctest.Wait()
		stopTwo := h.start("two")
		defer stopTwo()
		h.do([]string{"node", "n1", "cpu=4", "memory=8Gi"})
		for i := range 4 {
			if i == 2 {
				synctest.Wait()
				stopOne()
			}
			h.do([]string{"pod", fmt.Sprint("p", i), "cpu=1"})
		}
		synctest.Wait()
		epochs := map[uint64]int{}
		for e, err := range h.bus.Log().Read(t.Context(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == events.Scheduled {
				epochs[e.Epoch]++
			}
		}
		if len(epochs) != 2 {
			t.Errorf("placements by epoch: %v, want two epochs", epochs)
		}
		placed := 0
		for range h.projection.Snapshot().PodsOn("n1") {
			placed++
		}
		if placed != 4 || h.projection.Snapshot().Voids() != 0 {
			t.Errorf("%d of 4 pods are placed, %d voids", placed, h.projection.Snapshot().Voids())
		}
	})
}

// TestOldLeaderIsFenced appends a placement of an epoch that is over: it is
// void, and the pod still gets its node from the leader.
func TestOldLeaderIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stopOne := h.start("one")
		synctest.Wait()
		stopOne()
		old := h.projection.Snapshot().Epoch(Component)
		stop := h.start("two")
		defer stop()
		synctest.Wait()
		h.do([]string{"pod", "p", "cpu=1"})
		h.append(&events.Event{
			Key: events.Key{Resource: "pods", Namespace: "default", Name: "p"}, Type: events.Scheduled, Epoch: old, Component: Component,
			ContentType: events.ContentPatch, Data: []byte(`{"spec":{"nodeName":"gone"}}`),
		})
		h.do([]string{"node", "n1", "cpu=4", "memory=8Gi"})
		synctest.Wait()
		if node := h.pod("p").Spec.NodeName; node != "n1" {
			t.Errorf("the pod is on %q, want n1", node)
		}
		if h.projection.Snapshot().Voids() == 0 {
			t.Error("the old leader's placement counted")
		}
	})
}
