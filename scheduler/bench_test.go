package scheduler

import (
	"fmt"
	"testing"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkPlace decides about pods of one Deployment, and binds them in the view.
func BenchmarkPlace(b *testing.B) {
	for _, nodes := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			c := newCluster()
			for i := range nodes {
				c.setNode(fmt.Sprint("n", i), parseNode(b, fmt.Sprint("n", i), []string{"cpu=10000", "memory=100Ti", "pods=1000000", fmt.Sprint("zone=z", i%3)}))
			}
			pod := parsePod(b, "p", []string{"cpu=100m", "memory=100Mi", "owner=web"})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				cl := c.classOf(pod)
				n := schedule(c, cl)
				c.bind(types.UID(fmt.Sprint(i)), n, cl.demand, cl.group)
				c.trim()
				i++
			}
		})
	}
}

// BenchmarkPendingPods is the whole way on the bus in memory: pods pending when
// the scheduler starts, until the last is folded as bound. The projection folds in the same process.
func BenchmarkPendingPods(b *testing.B) {
	for _, size := range []struct{ nodes, pods int }{{1000, 5000}, {5000, 5000}} {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d", size.nodes, size.pods), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h := newHarness(b, nil)
				for i := range size.nodes {
					h.create("nodes", parseNode(b, fmt.Sprint("n", i), []string{"cpu=32", "memory=128Gi"}))
				}
				for i := range size.pods {
					h.create("pods", parsePod(b, fmt.Sprint("p", i), []string{"cpu=100m", "memory=100Mi", fmt.Sprint("owner=rs", i%10)}))
				}
				from := h.projection.Snapshot().Position()
				b.StartTimer()
				stop := h.start("bench")
				bound := 0
				for changes, err := range h.projection.Changes(b.Context(), from) {
					if err != nil {
						b.Fatal(err)
					}
					for _, c := range changes {
						if c.Event.Type == events.Scheduled && c.Void == nil && c.New.Value.(*corev1.Pod).Spec.NodeName != "" {
							bound++
						}
					}
					if bound >= size.pods {
						break
					}
				}
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(size.pods)*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
		})
	}
}
