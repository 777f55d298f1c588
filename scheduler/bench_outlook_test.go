package scheduler

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ruled are the rules of Kubernetes' scheduler_perf: nodes and pods are labelled as there.
var ruled = []struct {
	name           string
	existing, pods string
}{
	{"SchedulingBasic", "", ""},
	{"PodAffinity", "foo:", "near=foo:@zone"},
	{"PodAntiAffinity", "color:green", "apart=color:green@host"},
	{"PreferredPodAffinity", "foo:", "likes=1*foo:@host"},
	{"PreferredPodAntiAffinity", "foo:", "avoids=1*foo:@host"},
	{"TopologySpreading", "", "spread=5*color:blue@zone"},
	{"PreferredTopologySpreading", "", "rather-spread=5*color:blue@zone"},
}

// BenchmarkOutlook is the whole way of pods with rules, on a memory bus, where 5,000 others run: from
// pending until the last is folded as bound.
func BenchmarkOutlook(b *testing.B) {
	for _, nodes := range []int{1000, 5000} {
		for _, rule := range ruled {
			pods := 2000
			if rule.name == "PodAntiAffinity" {
				pods = nodes / 2
			}
			b.Run(fmt.Sprintf("%s/nodes=%d", rule.name, nodes), func(b *testing.B) {
				var spent time.Duration
				for b.Loop() {
					b.StopTimer()
					h := newHarness(b, nil)
					for i := range nodes {
						zone := fmt.Sprint("zone=z", i%3)
						if rule.name == "PodAffinity" {
							zone = "zone=zone1"
						}
						h.create("nodes", parseNode(b, fmt.Sprint("n", i), []string{"cpu=32", "memory=128Gi", zone}))
					}
					for i := range 5000 {
						pod := parsePod(b, fmt.Sprint("e", i), []string{"cpu=100m", "memory=100Mi"})
						pod.Spec.NodeName = fmt.Sprint("n", i%nodes)
						h.create("pods", pod)
					}
					words := []string{"cpu=100m", "memory=100Mi"}
					switch {
					case rule.existing != "":
						words = append(words, "label="+rule.existing, rule.pods)
					case rule.pods != "":
						words = append(words, "label=color:blue", rule.pods)
					}
					for i := range pods {
						h.create("pods", parsePod(b, fmt.Sprint("p", i), words))
					}
					from := h.projection.Snapshot().Position()
					before := processTime(b)
					b.StartTimer()
					stop := h.start("bench")
					h.awaitBound(b, from, pods)
					b.StopTimer()
					spent += processTime(b) - before
					stop()
					b.StartTimer()
				}
				b.ReportMetric(float64(pods)*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
				b.ReportMetric(float64(spent.Microseconds())/float64(pods)/float64(b.N), "cpu-µs/pod")
			})
		}
	}
}

// BenchmarkPlaceRuled decides about pods with rules, and binds them in the view.
func BenchmarkPlaceRuled(b *testing.B) {
	for _, nodes := range []int{1000, 5000} {
		for _, rule := range ruled {
			b.Run(fmt.Sprintf("%s/nodes=%d", rule.name, nodes), func(b *testing.B) {
				c := newCluster(nil)
				for i := range nodes {
					c.setNode(fmt.Sprint("n", i), parseNode(b, fmt.Sprint("n", i), []string{"cpu=10000", "memory=100Ti", "pods=1000000", fmt.Sprint("zone=z", i%3)}))
				}
				words := []string{"cpu=100m", "memory=100Mi", "label=color:blue"}
				if rule.pods != "" {
					words = append(words, rule.pods)
				}
				if rule.existing != "" && rule.name != "PodAntiAffinity" { // those that stay apart would run out of nodes
					words = append(words, "label="+rule.existing)
				}
				for i := range 5000 {
					pod := parsePod(b, fmt.Sprint("e", i), words)
					pod.UID, pod.Spec.NodeName = uid(i), fmt.Sprint("n", i%nodes)
					c.setPod(pod)
				}
				pod := parsePod(b, "p", words)
				b.ReportAllocs()
				i := 5000
				for b.Loop() {
					i++
					cl := c.classOf(pod)
					n := schedule(c, cl)
					one := *pod
					one.UID = uid(i)
					c.bind(&one, n, cl.demand)
					c.trim()
				}
			})
		}
	}
}

// processTime is what this process used of processors.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func uid(i int) types.UID { return types.UID(fmt.Sprint("uid", i)) }
