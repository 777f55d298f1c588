package scheduler

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/bus"
	"k8s.io/utils/clock"
)

// TestAGangThatDoesNotFitHelpsNobody: what it took for a moment and gave back isn't more to have than
// there was, or it would be tried again at every event.
func TestAGangThatDoesNotFitHelpsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.doDevices([]string{"device-class", "gpu"})
		h.create("nodes", parseNode(t, "n1", []string{"cpu=64"}))
		h.doDevices([]string{"devices", "pooled", "gpu-0=a100"})
		for p := range 2 {
			name := fmt.Sprint("p", p)
			h.create("pods", parsePod(t, name, []string{"cpu=1", "device-template=gpu", "gang=train:2"}))
			h.doDevices([]string{"claim-made", name})
		}
		synctest.Wait()
		l := newLoop(Options{Bus: h.bus, Projection: h.projection, Clock: clock.RealClock{}}, bus.Leadership{Context: t.Context()}, h.projection.Snapshot())
		l.wake()
		for l.queue.active.Len() > 0 {
			if err := l.decide(t.Context(), l.queue.active.items[0]); err != nil {
				t.Fatal(err)
			}
		}
		if l.cluster.devices.helped || l.cluster.helped > l.woken {
			t.Error("it has other pods looked at again")
		}
		if n := len(l.cluster.devices.taken); n != 0 {
			t.Errorf("it keeps %d devices", n)
		}
	})
}
