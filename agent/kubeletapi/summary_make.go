package kubeletapi

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
)

// summary serves what the node, its pods and their containers use.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	out, err := s.summarize(r.Context(), r.URL.Query().Get("only_cpu_and_memory") != "true")
	if err != nil {
		fail(w, err)
		return
	}
	s.writeJSON(w, out)
}

// summarize measures; full is with disks, networks and processes.
func (s *Server) summarize(ctx context.Context, full bool) (*stats.Summary, error) {
	sample, err := s.Meter.Sample(ctx)
	if err != nil {
		return nil, err
	}
	views := map[string]*pod.View{}
	for _, v := range s.Pods.All() {
		views[string(v.Pod.UID)] = &v
	}
	out := &stats.Summary{Pods: []stats.PodStats{}}
	for begin := 0; begin < len(sample.Containers); {
		end := begin + 1
		for end < len(sample.Containers) && sample.Containers[end].PodUID == sample.Containers[begin].PodUID {
			end++
		}
		some := sample.Containers[begin:end]
		p := s.podStats(some, views[some[0].PodUID])
		if view := views[some[0].PodUID]; full && view != nil {
			s.addDisks(&p, view, some)
			s.addNetwork(&p, view)
		}
		out.Pods = append(out.Pods, p)
		begin = end
	}
	out.Node = s.nodeStats(sample, out.Pods)
	if full {
		s.addNodeDisks(&out.Node)
	}
	return out, nil
}

// podStats adds up the containers of one pod. view is nil when it ends just now.
func (s *Server) podStats(containers []measure.Container, view *pod.View) stats.PodStats {
	first := &containers[0]
	p := stats.PodStats{PodRef: stats.PodReference{Name: first.PodName, Namespace: first.PodNamespace, UID: first.PodUID}}
	if view != nil {
		p.PodRef.Name, p.PodRef.Namespace = view.Pod.Name, view.Pod.Namespace
		if view.Status.StartTime != nil {
			p.StartTime = *view.Status.StartTime
		}
	}
	for i := range containers {
		p.Containers = append(p.Containers, containerStats(&containers[i]))
	}
	p.CPU, p.Memory, p.Swap = sum(p.Containers)
	if view != nil {
		processes := uint64(s.Cgroups.PIDs(s.podCgroup(view.Pod)))
		p.ProcessStats = &stats.ProcessStats{ProcessCount: &processes}
	}
	return p
}

func containerStats(c *measure.Container) stats.ContainerStats {
	out := stats.ContainerStats{Name: c.Name, StartTime: metav1.NewTime(c.Started)}
	cpu, memory, swap := c.Stats.GetCpu(), c.Stats.GetMemory(), c.Stats.GetSwap()
	out.CPU = &stats.CPUStats{Time: at(cpu.GetTimestamp()), UsageCoreNanoSeconds: value(cpu.GetUsageCoreNanoSeconds())}
	if c.CPU != nil {
		out.CPU.UsageNanoCores = &c.CPU.NanoCores
	}
	if memory != nil {
		out.Memory = &stats.MemoryStats{
			Time: at(memory.Timestamp), AvailableBytes: value(memory.AvailableBytes), UsageBytes: value(memory.UsageBytes),
			WorkingSetBytes: value(memory.WorkingSetBytes), RSSBytes: value(memory.RssBytes),
			PageFaults: value(memory.PageFaults), MajorPageFaults: value(memory.MajorPageFaults),
		}
	}
	if swap != nil {
		out.Swap = &stats.SwapStats{Time: at(swap.Timestamp), SwapAvailableBytes: value(swap.SwapAvailableBytes), SwapUsageBytes: value(swap.SwapUsageBytes)}
	}
	return out
}

// sum is what containers use together. A rate is that of all, once all have one.
func sum(containers []stats.ContainerStats) (*stats.CPUStats, *stats.MemoryStats, *stats.SwapStats) {
	cpu, memory := &stats.CPUStats{}, &stats.MemoryStats{}
	var swap *stats.SwapStats
	rates := true
	var rate uint64
	for i := range containers {
		c := &containers[i]
		if c.CPU != nil {
			cpu.Time = latest(cpu.Time, c.CPU.Time)
			add(&cpu.UsageCoreNanoSeconds, c.CPU.UsageCoreNanoSeconds)
			if rates = rates && c.CPU.UsageNanoCores != nil; rates {
				rate += *c.CPU.UsageNanoCores
			}
		}
		if m := c.Memory; m != nil {
			memory.Time = latest(memory.Time, m.Time)
			add(&memory.UsageBytes, m.UsageBytes)
			add(&memory.WorkingSetBytes, m.WorkingSetBytes)
			add(&memory.RSSBytes, m.RSSBytes)
			add(&memory.PageFaults, m.PageFaults)
			add(&memory.MajorPageFaults, m.MajorPageFaults)
		}
		if c.Swap != nil {
			if swap == nil {
				swap = &stats.SwapStats{}
			}
			swap.Time = latest(swap.Time, c.Swap.Time)
			add(&swap.SwapUsageBytes, c.Swap.SwapUsageBytes)
		}
	}
	if rates {
		cpu.UsageNanoCores = &rate
	}
	return cpu, memory, swap
}

// nodeStats is the machine; without one, what its pods use.
func (s *Server) nodeStats(sample *measure.Sample, pods []stats.PodStats) stats.NodeStats {
	out := stats.NodeStats{NodeName: s.Node}
	var all []stats.ContainerStats
	for i := range pods {
		all = append(all, stats.ContainerStats{CPU: pods[i].CPU, Memory: pods[i].Memory, Swap: pods[i].Swap})
	}
	cpu, memory, swap := sum(all)
	now, m := metav1.NewTime(sample.Time), sample.Machine
	if m == nil {
		out.CPU, out.Memory, out.Swap = cpu, memory, swap
		cpu.Time, memory.Time = now, now
		return out
	}
	if len(all) > 0 {
		out.SystemContainers = []stats.ContainerStats{{Name: stats.SystemContainerPods, StartTime: metav1.NewTime(m.Booted), CPU: cpu, Memory: memory, Swap: swap}}
	}
	out.StartTime = metav1.NewTime(m.Booted)
	out.CPU = &stats.CPUStats{Time: now, UsageCoreNanoSeconds: &m.CPU}
	if sample.CPU != nil {
		out.CPU.UsageNanoCores = &sample.CPU.NanoCores
	}
	out.Memory = &stats.MemoryStats{
		Time: now, AvailableBytes: &m.Memory.Available, UsageBytes: &m.Memory.Usage, WorkingSetBytes: &m.Memory.WorkingSet, RSSBytes: &m.Memory.RSS,
	}
	out.Swap = &stats.SwapStats{Time: now, SwapAvailableBytes: &m.Free, SwapUsageBytes: &m.Swap}
	out.Network = network(m.Links, now)
	most, running := int64(m.MaxProcess), int64(m.Processes)
	out.Rlimit = &stats.RlimitStats{Time: now, MaxPID: &most, NumOfRunningProcesses: &running}
	return out
}

// network is the counters of all links; the first is the default one.
func network(links []measure.Link, now metav1.Time) *stats.NetworkStats {
	if len(links) == 0 {
		return nil
	}
	out := &stats.NetworkStats{Time: now}
	for i := range links {
		l := &links[i]
		out.Interfaces = append(out.Interfaces, stats.InterfaceStats{Name: l.Name, RxBytes: &l.RxBytes, RxErrors: &l.RxErrors, TxBytes: &l.TxBytes, TxErrors: &l.TxErrors})
	}
	out.InterfaceStats = out.Interfaces[0]
	return out
}

// addNetwork counts what the pod's own network namespace saw.
func (s *Server) addNetwork(p *stats.PodStats, view *pod.View) {
	if view.Pod.Spec.HostNetwork {
		return
	}
	if links := measure.PodLinks("/proc", string(s.Cgroups), s.podCgroup(view.Pod)); links != nil {
		p.Network = network(links, metav1.NewTime(s.Clock.Now()))
	}
}

// podCgroup is the pod's cgroup, below where cgroups are mounted.
func (s *Server) podCgroup(p *v1.Pod) string {
	return filepath.Join(s.CgroupPrefix, "pod"+string(p.UID))
}

func at(nanos int64) metav1.Time { return metav1.NewTime(time.Unix(0, nanos)) }

func latest(a, b metav1.Time) metav1.Time {
	if a.Before(&b) {
		return b
	}
	return a
}

// value is a counter of CRI's, nil if it isn't counted.
func value(v *cri.UInt64Value) *uint64 {
	if v == nil {
		return nil
	}
	return &v.Value
}

func add(to **uint64, n *uint64) {
	if n == nil {
		return
	}
	if *to == nil {
		*to = new(uint64)
	}
	**to += *n
}
