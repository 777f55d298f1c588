package controllers

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reckon-project/reckon/events"
)

// Metrics are the Prometheus metrics of the controllers of one process. A nil
// *Metrics counts nothing.
type Metrics struct {
	decide, write             *prometheus.HistogramVec
	errors, intents, conflict *prometheus.CounterVec
	leading                   prometheus.Gauge
	depth                     *prometheus.Desc

	mu     sync.Mutex
	queues map[string]*queue // by controller: that of the newest term
}

// NewMetrics makes metrics; register them with a prometheus.Registerer.
func NewMetrics() *Metrics {
	const namespace = "reckon_controller"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1e-5, 4, 11),
		}, []string{"controller"})
	}
	return &Metrics{
		decide:   seconds("reconcile_seconds", "How long a reconcile decided."),
		write:    seconds("write_seconds", "How long the intents of a reconcile took to be carried out and folded."),
		errors:   counter("reconcile_errors_total", "Reconciles that failed, conflicts not counted.", "controller"),
		intents:  counter("intents_total", "Intents that were carried out or refused.", "controller", "verb", "result"),
		conflict: counter("conflicts_total", "Intents that somebody else was quicker than.", "controller"),
		leading:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "leading", Help: "1 while this process leads."}),
		depth:    prometheus.NewDesc(namespace+"_queue_depth", "Keys that wait for a reconcile.", []string{"controller"}, nil),
		queues:   map[string]*queue{},
	}
}

func (m *Metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.decide, m.write, m.errors, m.intents, m.conflict, m.leading}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, p := range m.parts() {
		p.Describe(to)
	}
	to <- m.depth
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, p := range m.parts() {
		p.Collect(to)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, q := range m.queues {
		to <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(q.keys.Len()), name)
	}
}

func (m *Metrics) lead(leads bool) {
	if m == nil {
		return
	}
	m.leading.Set(0)
	if leads {
		m.leading.Set(1)
	}
}

func (m *Metrics) follow(q *queue) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queues[q.controller.name] = q
}

func (m *Metrics) observe(o Observation) {
	if m == nil {
		return
	}
	m.decide.WithLabelValues(o.Controller).Observe(o.Decide.Seconds())
	if o.Intents > 0 {
		m.write.WithLabelValues(o.Controller).Observe(o.Write.Seconds())
	}
	if o.Err != nil && !overtaken(o.Err) {
		m.errors.WithLabelValues(o.Controller).Inc()
	}
}

func (m *Metrics) intent(controller string, i Intent, err error) {
	if m == nil {
		return
	}
	result := "done"
	switch {
	case overtaken(err):
		result = "conflict"
		m.conflict.WithLabelValues(controller).Inc()
	case err != nil:
		result = "error"
	}
	m.intents.WithLabelValues(controller, string(i.Verb), result).Inc()
}

// overtaken reports whether somebody else was first.
func overtaken(err error) bool {
	return errors.Is(err, events.ErrConflict) || errors.Is(err, events.ErrExists) ||
		errors.Is(err, events.ErrVoid) || errors.Is(err, events.ErrNotFound)
}
