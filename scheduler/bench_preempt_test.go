package scheduler

import (
	"fmt"
	"testing"
)

// BenchmarkPreemptionAsync is Kubernetes' workload of that name on a memory bus: nodes full of pods of low
// priority, pods of high priority that have three of them go each, and beside them pods to be
// placed. It is measured until the latter are folded as bound.
func BenchmarkPreemptionAsync(b *testing.B) {
	const nodes, high, pods = 1000, 200, 2000
	for b.Loop() {
		b.StopTimer()
		h := newHarness(b, nil)
		for i := range nodes {
			h.create("nodes", parseNode(b, fmt.Sprint("n", i), []string{"cpu=4", "memory=32Gi"}))
		}
		stop := h.start("full")
		from := h.projection.Snapshot().Position()
		for i := range 4 * nodes {
			h.create("pods", parsePod(b, fmt.Sprint("low", i), []string{"cpu=900m", "memory=500Mi"}))
		}
		h.awaitBound(b, from, 4*nodes)
		stop()
		for i := range high {
			h.create("pods", parsePod(b, fmt.Sprint("high", i), []string{"cpu=3", "memory=500Mi", "priority=10"}))
		}
		for i := range pods {
			h.create("pods", parsePod(b, fmt.Sprint("p", i), []string{"cpu=10m", "memory=50Mi"}))
		}
		from = h.projection.Snapshot().Position()
		b.StartTimer()
		stop = h.start("bench")
		h.awaitBound(b, from, pods)
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(pods)*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
}

// BenchmarkUnschedulable is Kubernetes' workload of that name on a memory bus: pods that fit nowhere wait
// while others are placed.
func BenchmarkUnschedulable(b *testing.B) {
	const nodes, waiting, pods = 1000, 2000, 5000
	for b.Loop() {
		b.StopTimer()
		h := newHarness(b, nil)
		for i := range nodes {
			h.create("nodes", parseNode(b, fmt.Sprint("n", i), []string{"cpu=4", "memory=32Gi"}))
		}
		for i := range waiting {
			h.create("pods", parsePod(b, fmt.Sprint("large", i), []string{"cpu=9", "memory=500Mi"}))
		}
		for i := range pods {
			h.create("pods", parsePod(b, fmt.Sprint("p", i), []string{"cpu=100m", "memory=500Mi"}))
		}
		from := h.projection.Snapshot().Position()
		b.StartTimer()
		stop := h.start("bench")
		h.awaitBound(b, from, pods)
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(pods)*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
}
