package kubeletapi

import (
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	v1 "k8s.io/api/core/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/reckon-project/reckon/agent/downward"
	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
)

// The series are those of cAdvisor that dashboards read; the labels too.
var ofCgroup = []string{"container", "id", "image", "name", "namespace", "pod"}

func cadvisor(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append(append([]string{}, ofCgroup...), more...), nil)
}

var (
	cpuUsage     = cadvisor("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "cpu")
	cpuUser      = cadvisor("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.")
	cpuSystem    = cadvisor("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.")
	cfsPeriods   = cadvisor("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.")
	cfsThrottled = cadvisor("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.")
	cfsSeconds   = cadvisor("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.")
	memUsage     = cadvisor("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed")
	memWorking   = cadvisor("container_memory_working_set_bytes", "Current working set in bytes.")
	memRSS       = cadvisor("container_memory_rss", "Size of RSS in bytes.")
	memCache     = cadvisor("container_memory_cache", "Number of bytes of page cache memory.")
	memMapped    = cadvisor("container_memory_mapped_file", "Size of memory mapped files in bytes.")
	memSwap      = cadvisor("container_memory_swap", "Container swap usage in bytes.")
	memFailures  = cadvisor("container_memory_failures_total", "Cumulative count of memory allocation failures.", "failure_type", "scope")
	fsUsage      = cadvisor("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.", "device")
	fsLimit      = cadvisor("container_fs_limit_bytes", "Number of bytes that can be consumed by the container on this filesystem.", "device")
	fsInodes     = cadvisor("container_fs_inodes_total", "Number of Inodes", "device")
	fsInodesFree = cadvisor("container_fs_inodes_free", "Number of available Inodes", "device")
	processCount = cadvisor("container_processes", "Number of processes running inside the container.")
	threadCount  = cadvisor("container_threads", "Number of threads running inside the container")
	startTime    = cadvisor("container_start_time_seconds", "Start time of the container since unix epoch in seconds.")
	lastSeen     = cadvisor("container_last_seen", "Last time a container was seen by the exporter")
	specShares   = cadvisor("container_spec_cpu_shares", "CPU share of the container.")
	specPeriod   = cadvisor("container_spec_cpu_period", "CPU period of the container.")
	specQuota    = cadvisor("container_spec_cpu_quota", "CPU quota of the container.")
	specMemory   = cadvisor("container_spec_memory_limit_bytes", "Memory limit for the container.")
	netRx        = cadvisor("container_network_receive_bytes_total", "Cumulative count of bytes received", "interface")
	netRxPackets = cadvisor("container_network_receive_packets_total", "Cumulative count of packets received", "interface")
	netRxErrors  = cadvisor("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", "interface")
	netRxDropped = cadvisor("container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving", "interface")
	netTx        = cadvisor("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", "interface")
	netTxPackets = cadvisor("container_network_transmit_packets_total", "Cumulative count of packets transmitted", "interface")
	netTxErrors  = cadvisor("container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", "interface")
	netTxDropped = cadvisor("container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting", "interface")
	machineCores = prometheus.NewDesc("machine_cpu_cores", "Number of logical CPU cores.", nil, nil)
	machineMem   = prometheus.NewDesc("machine_memory_bytes", "Amount of memory installed on the machine.", nil, nil)
)

// series gives the series of one cgroup.
type series struct {
	to     chan<- prometheus.Metric
	labels []string
}

func (s series) counter(d *prometheus.Desc, v float64, more ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append(append([]string{}, s.labels...), more...)...)
}

func (s series) gauge(d *prometheus.Desc, v float64, more ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append(append([]string{}, s.labels...), more...)...)
}

// cadvisorMetrics serves what dashboards read of containers, pods and the machine.
func (s *Server) cadvisorMetrics(w http.ResponseWriter, r *http.Request) {
	sample, err := s.Meter.Sample(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	exposed(w, r, collect(func(to chan<- prometheus.Metric) {
		if m := sample.Machine; m != nil {
			root := series{to, []string{"", "/", "", "", "", ""}}
			root.counter(cpuUsage, float64(m.CPU)/1e9, "total")
			root.gauge(memUsage, float64(m.Memory.Usage))
			root.gauge(memWorking, float64(m.Memory.WorkingSet))
			root.gauge(memRSS, float64(m.Memory.RSS))
			root.gauge(lastSeen, float64(sample.Time.Unix()))
			root.links(m.Links)
			to <- prometheus.MustNewConstMetric(machineCores, prometheus.GaugeValue, float64(runtime.NumCPU()))
			to <- prometheus.MustNewConstMetric(machineMem, prometheus.GaugeValue, float64(m.Memory.WorkingSet+m.Memory.Available))
		}
		views := map[string]*pod.View{}
		for _, v := range s.Pods.All() {
			views[string(v.Pod.UID)] = &v
		}
		pods := map[string][]measure.Container{}
		for i := range sample.Containers {
			if c := sample.Containers[i]; views[c.PodUID] != nil {
				s.containerSeries(to, views[c.PodUID].Pod, &c, sample.Time)
				pods[c.PodUID] = append(pods[c.PodUID], c)
			}
		}
		for uid, containers := range pods {
			s.podSeries(to, views[uid].Pod, containers, sample.Time)
		}
	}))
}

func (s *Server) containerSeries(to chan<- prometheus.Metric, p *v1.Pod, c *measure.Container, now time.Time) {
	path := filepath.Join("/", s.podCgroup(p), c.ID)
	image := ""
	spec := downward.Container(&p.Spec, c.Name)
	if spec != nil {
		image = spec.Image
	}
	of := series{to, []string{c.Name, path, image, c.ID, p.Namespace, p.Name}}
	counts := measure.ReadCgroup(string(s.Cgroups), path)
	used := containerStats(c)
	of.usage(used.CPU, used.Memory, used.Swap)
	of.counter(cpuUser, float64(counts.UserNanos)/1e9)
	of.counter(cpuSystem, float64(counts.SysNanos)/1e9)
	if t := counts.Throttling; t != nil {
		of.counter(cfsPeriods, float64(t.Periods))
		of.counter(cfsThrottled, float64(t.Throttled))
		of.counter(cfsSeconds, float64(t.Nanos)/1e9)
	}
	of.gauge(memCache, float64(counts.Cache))
	of.gauge(memMapped, float64(counts.MappedFile))
	of.gauge(processCount, float64(counts.Processes))
	of.gauge(threadCount, float64(s.Cgroups.PIDs(path)))
	of.gauge(startTime, float64(c.Started.Unix()))
	of.gauge(lastSeen, float64(now.Unix()))
	if layer := c.Stats.GetWritableLayer(); layer != nil {
		of.gauge(fsUsage, float64(layer.GetUsedBytes().GetValue()), layer.GetFsId().GetMountpoint())
		if fs := s.fs(s.Root, machine.Used{}, now); fs != nil {
			of.gauge(fsLimit, float64(*fs.CapacityBytes), layer.GetFsId().GetMountpoint())
			if fs.Inodes != nil {
				of.gauge(fsInodes, float64(*fs.Inodes), layer.GetFsId().GetMountpoint())
				of.gauge(fsInodesFree, float64(*fs.InodesFree), layer.GetFsId().GetMountpoint())
			}
		}
	}
	if spec != nil {
		of.limits(&spec.Resources)
	}
}

// limits gives what a container was granted, in the kernel's terms.
func (s series) limits(r *v1.ResourceRequirements) {
	shares := r.Requests.Cpu().MilliValue() * 1024 / 1000
	s.gauge(specShares, float64(max(shares, 2)))
	s.gauge(specPeriod, 100_000)
	if limit := r.Limits.Cpu(); !limit.IsZero() {
		s.gauge(specQuota, float64(limit.MilliValue()*100))
	}
	s.gauge(specMemory, r.Limits.Memory().AsApproximateFloat64())
}

func (s *Server) podSeries(to chan<- prometheus.Metric, p *v1.Pod, containers []measure.Container, now time.Time) {
	of := series{to, []string{"", filepath.Join("/", s.podCgroup(p)), "", "", p.Namespace, p.Name}}
	var all []stats.ContainerStats
	for i := range containers {
		all = append(all, containerStats(&containers[i]))
	}
	of.usage(sum(all))
	of.gauge(lastSeen, float64(now.Unix()))
	if !p.Spec.HostNetwork {
		of.links(measure.PodLinks("/proc", string(s.Cgroups), s.podCgroup(p)))
	}
}

func (s series) usage(cpu *stats.CPUStats, memory *stats.MemoryStats, swap *stats.SwapStats) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		s.counter(cpuUsage, float64(*cpu.UsageCoreNanoSeconds)/1e9, "total")
	}
	swapUsed := 0.0
	if swap != nil && swap.SwapUsageBytes != nil {
		swapUsed = float64(*swap.SwapUsageBytes)
	}
	s.gauge(memSwap, swapUsed)
	if memory == nil {
		return
	}
	for desc, n := range map[*prometheus.Desc]*uint64{memUsage: memory.UsageBytes, memWorking: memory.WorkingSetBytes, memRSS: memory.RSSBytes} {
		if n != nil {
			s.gauge(desc, float64(*n))
		}
	}
	for kind, n := range map[string]*uint64{"pgfault": memory.PageFaults, "pgmajfault": memory.MajorPageFaults} {
		if n != nil {
			s.counter(memFailures, float64(*n), kind, "container")
		}
	}
}

func (s series) links(links []measure.Link) {
	for i := range links {
		l := &links[i]
		for desc, n := range map[*prometheus.Desc]uint64{
			netRx: l.RxBytes, netRxPackets: l.RxPackets, netRxErrors: l.RxErrors, netRxDropped: l.RxDropped,
			netTx: l.TxBytes, netTxPackets: l.TxPackets, netTxErrors: l.TxErrors, netTxDropped: l.TxDropped,
		} {
			s.counter(desc, float64(n), l.Name)
		}
	}
}
