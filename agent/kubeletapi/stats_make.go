package kubeletapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/reckon-project/reckon/agent/runtime"
)

// summary serves what each container uses.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	all, err := s.Runtime.Stats(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	out := stats.Summary{Node: stats.NodeStats{NodeName: s.Node}}
	byUID := map[string]*stats.PodStats{}
	var uids []string
	for _, c := range all {
		l := c.Attributes.GetLabels()
		uid := l[runtime.LabelPodUID]
		if byUID[uid] == nil {
			byUID[uid] = &stats.PodStats{PodRef: stats.PodReference{Name: l[runtime.LabelPodName], Namespace: l[runtime.LabelPodNamespace], UID: uid}}
			uids = append(uids, uid)
		}
		byUID[uid].Containers = append(byUID[uid].Containers, containerStats(l[runtime.LabelContainerName], c))
	}
	slices.Sort(uids)
	for _, uid := range uids {
		out.Pods = append(out.Pods, *byUID[uid])
	}
	s.writeJSON(w, out)
}

func containerStats(name string, c *cri.ContainerStats) stats.ContainerStats {
	out := stats.ContainerStats{Name: name}
	if cpu := c.Cpu; cpu != nil {
		out.CPU = &stats.CPUStats{Time: metav1.NewTime(time.Unix(0, cpu.Timestamp))}
		if cpu.UsageCoreNanoSeconds != nil {
			out.CPU.UsageCoreNanoSeconds = &cpu.UsageCoreNanoSeconds.Value
		}
		if cpu.UsageNanoCores != nil {
			out.CPU.UsageNanoCores = &cpu.UsageNanoCores.Value
		}
	}
	if m := c.Memory; m != nil {
		out.Memory = &stats.MemoryStats{Time: metav1.NewTime(time.Unix(0, m.Timestamp))}
		if m.WorkingSetBytes != nil {
			out.Memory.WorkingSetBytes = &m.WorkingSetBytes.Value
		}
		if m.UsageBytes != nil {
			out.Memory.UsageBytes = &m.UsageBytes.Value
		}
	}
	return out
}

// metrics serves the same as text for Prometheus, under the kubelet's names.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	all, err := s.Runtime.Stats(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	var cpu, memory strings.Builder
	for _, c := range all {
		l := c.Attributes.GetLabels()
		labels := fmt.Sprintf("{container=%q,namespace=%q,pod=%q}", l[runtime.LabelContainerName], l[runtime.LabelPodNamespace], l[runtime.LabelPodName])
		if n := c.Cpu.GetUsageCoreNanoSeconds(); n != nil {
			fmt.Fprintf(&cpu, "container_cpu_usage_seconds_total%s %g\n", labels, float64(n.Value)/1e9)
		}
		if n := c.Memory.GetWorkingSetBytes(); n != nil {
			fmt.Fprintf(&memory, "container_memory_working_set_bytes%s %d\n", labels, n.Value)
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "# TYPE container_cpu_usage_seconds_total counter\n%s# TYPE container_memory_working_set_bytes gauge\n%s", cpu.String(), memory.String())
}
