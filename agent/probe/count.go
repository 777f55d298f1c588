package probe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counts are metrics of what containers answered, under the kubelet's names. It
// is a prometheus.Collector.
type Counts struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewCounts makes metrics that count nothing yet.
func NewCounts() *Counts {
	return &Counts{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prober_probe_total", Help: "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
		}, []string{"probe_type", "result", "container", "pod", "namespace", "pod_uid"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prober_probe_duration_seconds", Help: "[ALPHA] Duration in seconds for a probe response.",
		}, []string{"probe_type", "container", "pod", "namespace"}),
	}
}

// Describe implements prometheus.Collector.
func (c *Counts) Describe(to chan<- *prometheus.Desc) {
	c.total.Describe(to)
	c.duration.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *Counts) Collect(to chan<- prometheus.Metric) {
	c.total.Collect(to)
	c.duration.Collect(to)
}

// Of counts the answers to check. kind is Startup, Liveness or Readiness.
func (c *Counts) Of(check Check, kind, container, pod, namespace, uid string) Check {
	return func(ctx context.Context) error {
		began := time.Now()
		err := check(ctx)
		result := "successful"
		if err != nil {
			result = "failed"
		}
		c.total.WithLabelValues(kind, result, container, pod, namespace, uid).Inc()
		c.duration.WithLabelValues(kind, container, pod, namespace).Observe(time.Since(began).Seconds())
		return err
	}
}

// Forget drops the counts of a pod.
func (c *Counts) Forget(pod, namespace, uid string) {
	c.total.DeletePartialMatch(prometheus.Labels{"pod_uid": uid})
	c.duration.DeletePartialMatch(prometheus.Labels{"pod": pod, "namespace": namespace})
}
