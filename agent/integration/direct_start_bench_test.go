package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent"
)

// BenchmarkRuntimes compares pods' starts by the two ways to drive containerd:
// from the feed's message to the Ready fact of the last.
func BenchmarkRuntimes(b *testing.B) {
	old := *runtimeName
	b.Cleanup(func() { *runtimeName = old })
	for _, at := range []int{1, 20, 50} {
		median := map[string]time.Duration{}
		for _, name := range []string{agent.RuntimeCRI, agent.RuntimeDirect} {
			b.Run(fmt.Sprintf("%d/%s", at, name), func(b *testing.B) {
				*runtimeName = name
				var took []time.Duration
				for range b.N {
					took = append(took, startPods(b, at)...)
				}
				slices.Sort(took)
				median[name] = took[len(took)/2]
				b.ReportMetric(float64(median[name].Milliseconds()), "ready-ms")
				if c := median[agent.RuntimeCRI]; c > 0 {
					b.ReportMetric(float64(median[name])/float64(c), "ratio-to-cri")
				}
			})
		}
	}
}

// startPods starts pods at once on a new node, three times.
func startPods(b *testing.B, at int) []time.Duration {
	n := newNode(b)
	n.await(n.run(newPod("first", "/bin/sleep", "1000")), "ready", isReady) // what is done once for an image isn't a pod's
	var out []time.Duration
	for round := range 3 {
		pods := make([]*v1.Pod, 0, at)
		begin := time.Now()
		for i := range at {
			pods = append(pods, n.run(newPod(fmt.Sprintf("p-%d-%d", round, i), "/bin/sleep", "1000")))
		}
		for _, p := range pods {
			n.await(p, "ready", isReady)
		}
		out = append(out, time.Since(begin))
		for _, p := range pods {
			n.remove(p)
		}
		for _, p := range pods {
			n.awaitGone(p)
		}
	}
	n.halt()
	return out
}
