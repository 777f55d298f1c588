package scheduler

import (
	"fmt"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkPlace decides about pods of one Deployment, and binds them in the view.
func BenchmarkPlace(b *testing.B) {
	for _, nodes := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			c := newCluster(nil)
			for i := range nodes {
				c.setNode(fmt.Sprint("n", i), parseNode(b, fmt.Sprint("n", i), []string{"cpu=10000", "memory=100Ti", "pods=1000000", fmt.Sprint("zone=z", i%3)}))
			}
			pod := parsePod(b, "p", []string{"cpu=100m", "memory=100Mi", "owner=web"})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				cl := c.classOf(pod)
				n := schedule(c, cl)
				one := *pod
				one.UID = types.UID(fmt.Sprint(i))
				c.bind(&one, n, cl.demand)
				c.trim()
				i++
			}
		})
	}
}

// BenchmarkPendingPods is the whole way: pods pending when the scheduler starts, until the last is
// folded as bound. The projection folds in the same process. On the embedded
// server every placement is durable.
func BenchmarkPendingPods(b *testing.B) {
	for _, size := range []struct {
		bus         string
		nodes, pods int
	}{{"memory", 1000, 5000}, {"memory", 5000, 5000}, {"server", 1000, 5000}} {
		b.Run(fmt.Sprintf("bus=%s/nodes=%d/pods=%d", size.bus, size.nodes, size.pods), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var wrap func(bus.Bus) bus.Bus
				if size.bus == "server" {
					wrap = func(bus.Bus) bus.Bus { return embedded(b) }
				}
				h := newHarness(b, wrap)
				for i := range size.nodes {
					h.create("nodes", parseNode(b, fmt.Sprint("n", i), []string{"cpu=32", "memory=128Gi"}))
				}
				for i := range size.pods {
					h.create("pods", parsePod(b, fmt.Sprint("p", i), []string{"cpu=100m", "memory=100Mi", fmt.Sprint("owner=rs", i%10)}))
				}
				from := h.projection.Snapshot().Position()
				b.StartTimer()
				stop := h.start("bench")
				h.awaitBound(b, from, size.pods)
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(size.pods)*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
		})
	}
}

// embedded is a durable bus of its own.
func embedded(b *testing.B) bus.Bus {
	s, err := server.Start(server.Options{Dir: b.TempDir(), Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Shutdown)
	conn, err := s.Connect("scheduler")
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

func (h *harness) awaitBound(b *testing.B, from uint64, pods int) {
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
		if bound >= pods {
			return
		}
	}
}
