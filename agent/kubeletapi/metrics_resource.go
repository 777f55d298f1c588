package kubeletapi

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

var (
	ofContainer = []string{"container", "pod", "namespace"}
	ofPod       = []string{"pod", "namespace"}

	nodeCPU         = prometheus.NewDesc("node_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the node in core-seconds", nil, nil)
	nodeMemory      = prometheus.NewDesc("node_memory_working_set_bytes", "[STABLE] Current working set of the node in bytes", nil, nil)
	nodeSwap        = prometheus.NewDesc("node_swap_usage_bytes", "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems", nil, nil)
	containerStart  = prometheus.NewDesc("container_start_time_seconds", "[STABLE] Start time of the container since unix epoch in seconds", ofContainer, nil)
	containerCPU    = prometheus.NewDesc("container_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the container in core-seconds", ofContainer, nil)
	containerMemory = prometheus.NewDesc("container_memory_working_set_bytes", "[STABLE] Current working set of the container in bytes", ofContainer, nil)
	containerSwap   = prometheus.NewDesc("container_swap_usage_bytes", "[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems", ofContainer, nil)
	containerSwapOf = prometheus.NewDesc("container_swap_limit_bytes", "[ALPHA] Current amount of the container swap limit in bytes. Reported only on non-windows systems", ofContainer, nil)
	podCPU          = prometheus.NewDesc("pod_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", ofPod, nil)
	podMemory       = prometheus.NewDesc("pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes", ofPod, nil)
	podSwap         = prometheus.NewDesc("pod_swap_usage_bytes", "[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems", ofPod, nil)
	scrapeError     = prometheus.NewDesc("resource_scrape_error", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", nil, nil)
	scrapeErrorOld  = prometheus.NewDesc("scrape_error", "[ALPHA] (Deprecated since 1.29.0) 1 if there was an error while getting container metrics, 0 otherwise", nil, nil)
)

// collect is a prometheus.Collector that describes nothing ahead: what there is
// depends on what runs.
type collect func(chan<- prometheus.Metric)

func (collect) Describe(chan<- *prometheus.Desc)      {}
func (c collect) Collect(to chan<- prometheus.Metric) { c(to) }

// exposed answers with what collectors have, in the format that is asked for.
func exposed(w http.ResponseWriter, r *http.Request, c ...prometheus.Collector) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c...)
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// resourceMetrics serves the kubelet's resource metrics: what a metrics server reads.
func (s *Server) resourceMetrics(w http.ResponseWriter, r *http.Request) {
	exposed(w, r, collect(func(to chan<- prometheus.Metric) {
		failed := 0.0
		summary, err := s.summarize(r.Context(), false)
		if err != nil {
			s.Log.Warn("containers weren't measured", "err", err)
			failed = 1
		} else {
			resources(to, summary)
		}
		to <- prometheus.MustNewConstMetric(scrapeError, prometheus.GaugeValue, failed)
		to <- prometheus.MustNewConstMetric(scrapeErrorOld, prometheus.GaugeValue, failed)
	}))
}

func resources(to chan<- prometheus.Metric, summary *stats.Summary) {
	usage(to, summary.Node.CPU, summary.Node.Memory, nodeCPU, nodeMemory)
	swapped(to, summary.Node.Swap, nodeSwap, nil)
	for i := range summary.Pods {
		p := &summary.Pods[i]
		for j := range p.Containers {
			c := &p.Containers[j]
			of := []string{c.Name, p.PodRef.Name, p.PodRef.Namespace}
			if c.StartTime.Unix() > 0 {
				to <- prometheus.MustNewConstMetric(containerStart, prometheus.GaugeValue, seconds(c.StartTime), of...)
			}
			usage(to, c.CPU, c.Memory, containerCPU, containerMemory, of...)
			swapped(to, c.Swap, containerSwap, containerSwapOf, of...)
		}
		usage(to, p.CPU, p.Memory, podCPU, podMemory, p.PodRef.Name, p.PodRef.Namespace)
		swapped(to, p.Swap, podSwap, nil, p.PodRef.Name, p.PodRef.Namespace)
	}
}

func usage(to chan<- prometheus.Metric, cpu *stats.CPUStats, memory *stats.MemoryStats, ofCPU, ofMemory *prometheus.Desc, labels ...string) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		to <- timed(cpu.Time, prometheus.MustNewConstMetric(ofCPU, prometheus.CounterValue, float64(*cpu.UsageCoreNanoSeconds)/1e9, labels...))
	}
	if memory != nil && memory.WorkingSetBytes != nil {
		to <- timed(memory.Time, prometheus.MustNewConstMetric(ofMemory, prometheus.GaugeValue, float64(*memory.WorkingSetBytes), labels...))
	}
}

func swapped(to chan<- prometheus.Metric, swap *stats.SwapStats, of, limit *prometheus.Desc, labels ...string) {
	if swap == nil || swap.SwapUsageBytes == nil {
		return
	}
	to <- timed(swap.Time, prometheus.MustNewConstMetric(of, prometheus.GaugeValue, float64(*swap.SwapUsageBytes), labels...))
	if limit != nil && swap.SwapAvailableBytes != nil {
		to <- timed(swap.Time, prometheus.MustNewConstMetric(limit, prometheus.GaugeValue, float64(*swap.SwapUsageBytes+*swap.SwapAvailableBytes), labels...))
	}
}

func timed(at metav1.Time, m prometheus.Metric) prometheus.Metric {
	return prometheus.NewMetricWithTimestamp(at.Time, m)
}

func seconds(t metav1.Time) float64 { return float64(t.UnixNano()) / float64(time.Second) }
