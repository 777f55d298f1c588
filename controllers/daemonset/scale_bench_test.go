package daemonset_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/daemonset"
	"github.com/reckon-project/reckon/controllers/podgc"
)

// BenchmarkNodes1000 puts a pod on each of a thousand nodes and rolls a second
// template out, a hundred nodes at once, on the in-memory bus with pretended nodes.
func BenchmarkNodes1000(b *testing.B) {
	for b.Loop() {
		w := controllertest.NewWorld(b)
		w.Run(daemonset.New(), podgc.New())
		var nodes []string
		for i := range 1000 {
			nodes = append(nodes, fmt.Sprintf("n%d", i))
			addNode(w, nodes[i])
		}
		w.Schedule(nodes...)
		from := w.Snapshot().Position()
		ds := newSet("log:1")
		ds.Spec.UpdateStrategy = rolling(0, 100)
		w.Create(controllers.DaemonSet, ds)
		done := func(generation int64) bool {
			s := controllertest.Get[*appsv1.DaemonSet](w, key).Status
			return s.ObservedGeneration == generation && s.UpdatedNumberScheduled == 1000 && s.NumberAvailable == 1000
		}
		rolled := func(generation int64) {
			position := w.Snapshot().Position()
			if done(generation) {
				return
			}
			for _, err := range w.Projection.Changes(b.Context(), position) {
				if err != nil {
					b.Fatal(err)
				}
				if done(generation) {
					return
				}
			}
		}
		rolled(1)
		setImage(w, "log:2")
		rolled(2)
		b.ReportMetric(float64(w.Snapshot().Position()-from), "events")
		w.Stop()
	}
}
