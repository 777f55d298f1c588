package nodelifecycle_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodelifecycle"
	"github.com/reckon-project/reckon/projections"
)

// inZones starts a world with that many nodes in each of the zones a, b, ….
func inZones(t *testing.T, sizes []int, f func(w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(nodelifecycle.New(nodelifecycle.NewBeats(w.Bus, time.Now), 24*time.Hour), nodelifecycle.NewZones())
		for z, size := range sizes {
			for i := range size {
				addNode(w, nodeName(z, i), string(rune('a'+z)))
			}
		}
		w.Advance(time.Second)
		f(w)
	})
}

func nodeName(zone, i int) string { return fmt.Sprintf("%c%03d", 'a'+zone, i) }

// down makes nodes of a zone not ready, or ready again.
func down(w *controllertest.World, zone, from, to int, status corev1.ConditionStatus) {
	for i := from; i < to; i++ {
		setReady(w, nodeName(zone, i), status)
	}
	w.Settle()
}

// sent counts the nodes that pods are sent away from.
func sent(w *controllertest.World) int {
	n := 0
	for node := range projections.List[*corev1.Node](w.Snapshot(), "", "nodes", "") {
		for _, t := range node.Spec.Taints {
			if t.Effect == corev1.TaintEffectNoExecute {
				n++
			}
		}
	}
	return n
}

func wantSent(t *testing.T, w *controllertest.World, after time.Duration, want int) {
	t.Helper()
	w.Advance(after)
	if got := sent(w); got != want {
		t.Errorf("pods are sent away from %d nodes, want %d", got, want)
	}
}

func TestOneNodeEveryTenSeconds(t *testing.T) {
	inZones(t, []int{10}, func(w *controllertest.World) {
		down(w, 0, 0, 5, corev1.ConditionFalse)
		wantSent(t, w, time.Second, 1)
		wantSent(t, w, 10*time.Second, 2)
		wantSent(t, w, 20*time.Second, 4)
		down(w, 0, 1, 2, corev1.ConditionTrue)
		wantSent(t, w, time.Second, 3)
		wantSent(t, w, time.Minute, 4)
	})
}

func TestMostOfASmallZoneIsDown(t *testing.T) {
	inZones(t, []int{10, 3}, func(w *controllertest.World) {
		down(w, 0, 0, 5, corev1.ConditionFalse)
		wantSent(t, w, time.Minute, 5)
		down(w, 0, 5, 7, corev1.ConditionUnknown)
		wantSent(t, w, time.Hour, 5)
		down(w, 1, 0, 1, corev1.ConditionUnknown) // another zone isn't concerned
		wantSent(t, w, time.Second, 6)
		down(w, 0, 0, 1, corev1.ConditionTrue)
		wantSent(t, w, time.Hour, 5)
		down(w, 0, 1, 2, corev1.ConditionTrue)
		wantSent(t, w, time.Minute, 6)
	})
}

func TestMostOfALargeZoneIsDown(t *testing.T) {
	inZones(t, []int{60}, func(w *controllertest.World) {
		down(w, 0, 0, 40, corev1.ConditionUnknown)
		w.Advance(time.Second)
		before := sent(w)
		wantSent(t, w, 1000*time.Second, before+10)
	})
}

func TestAZoneIsDownAndAllAre(t *testing.T) {
	inZones(t, []int{4, 2}, func(w *controllertest.World) {
		down(w, 0, 0, 4, corev1.ConditionUnknown)
		wantSent(t, w, time.Minute, 4)
		down(w, 1, 0, 2, corev1.ConditionUnknown)
		wantSent(t, w, time.Second, 0)
		wantSent(t, w, time.Hour, 0)
		down(w, 1, 0, 1, corev1.ConditionTrue)
		wantSent(t, w, time.Second, 2)
		wantSent(t, w, time.Minute, 5)
	})
}

func TestExcludedNodesDontCount(t *testing.T) {
	inZones(t, []int{5}, func(w *controllertest.World) {
		for i := range 2 {
			w.Patch(controllers.Node.Key("", nodeName(0, i)), `{"metadata":{"labels":{"node.kubernetes.io/exclude-disruption":"true"}}}`)
		}
		down(w, 0, 0, 4, corev1.ConditionFalse) // two of three that count
		wantSent(t, w, time.Minute, 4)
	})
}
