package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent"
)

// BenchmarkRuntimes compares pods' starts on two nodes, one for each way to drive
// containerd, in turns: from the feed's message to the Ready fact of the last.
func BenchmarkRuntimes(b *testing.B) {
	for _, at := range []int{1, 20, 50} {
		b.Run(fmt.Sprint(at), func(b *testing.B) {
			took := map[string][]time.Duration{}
			old := *runtimeName
			b.Cleanup(func() { *runtimeName = old })
			for b.Loop() {
				for _, name := range []string{agent.RuntimeCRI, agent.RuntimeDirect} {
					*runtimeName = name
					took[name] = append(took[name], startPods(b, at)...)
				}
			}
			for _, all := range took {
				slices.Sort(all)
			}
			c, d := took[agent.RuntimeCRI], took[agent.RuntimeDirect]
			b.ReportMetric(float64(c[len(c)/2].Milliseconds()), "cri-ms")
			b.ReportMetric(float64(d[len(d)/2].Milliseconds()), "direct-ms")
			b.ReportMetric(float64(d[len(d)/2])/float64(c[len(c)/2]), "ratio")
		})
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
