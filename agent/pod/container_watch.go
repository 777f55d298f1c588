package pod

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/probe"
)

type probeKind int

const (
	startup probeKind = iota
	liveness
	readiness
)

func (k probeKind) String() string { return [...]string{"Startup", "Liveness", "Readiness"}[k] }

// probeResult is what a probe of a container found.
type probeResult struct {
	container string
	id        string
	kind      probeKind
	result    probe.Result
	failed    bool   // a single try, to be told: no result yet
	failure   string // what it said, if anything
}

// watchContainer begins to probe a running container, once.
func (w *Worker) watchContainer(ctx context.Context, c *container) {
	if c.watched == c.current.Id {
		return
	}
	w.unwatch(c)
	c.watched = c.current.Id
	c.started = c.spec.StartupProbe == nil
	c.ready = c.started && c.spec.ReadinessProbe == nil
	w.adoptProbed(c)
	pctx, cancel := context.WithCancel(ctx)
	c.watch = cancel
	if !c.started {
		w.probe(pctx, c, startup, c.spec.StartupProbe)
		return
	}
	w.probeLife(pctx, c)
}

// adoptProbed keeps what was reported about a container that an earlier life of
// the agent started, so that a restart makes nothing unready.
func (w *Worker) adoptProbed(c *container) {
	for _, list := range [][]v1.ContainerStatus{w.previous.InitContainerStatuses, w.previous.ContainerStatuses} {
		for _, s := range list {
			if s.Name == c.spec.Name && s.ContainerID == idPrefix+c.current.Id {
				c.started = c.started || s.Started != nil && *s.Started
				c.ready = c.ready || s.Ready
			}
		}
	}
}

// probeLife begins the probes that wait for the startup probe.
func (w *Worker) probeLife(ctx context.Context, c *container) {
	if c.spec.LivenessProbe != nil {
		w.probe(ctx, c, liveness, c.spec.LivenessProbe)
	}
	if c.spec.ReadinessProbe != nil {
		w.probe(ctx, c, readiness, c.spec.ReadinessProbe)
	}
}

func (w *Worker) probe(ctx context.Context, c *container, kind probeKind, spec *v1.Probe) {
	check, err := probe.NewCheck(spec, w.target(c))
	if err != nil {
		w.note("ProbeWarning", err.Error())
		return
	}
	if w.host.Pretended {
		check = func(context.Context) error { return nil }
	} else if w.host.Probes != nil {
		check = w.host.Probes.Of(check, kind.String(), c.spec.Name, w.pod.Name, w.pod.Namespace, w.uid)
	}
	name, id, after := c.spec.Name, c.current.Id, nanos(c.current.StartedAt)
	send := func(r probeResult) {
		r.container, r.id, r.kind = name, id, kind
		select {
		case <-ctx.Done():
		case w.results <- r:
		}
	}
	w.probes.Add(1)
	go func() {
		defer w.probes.Done()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		probe.Run(ctx, spec, check, w.host.Clock, after,
			func(r probe.Result) {
				send(probeResult{result: r})
				if kind == startup && r.OK {
					stop()
				}
			},
			func(err error) { send(probeResult{failed: true, failure: err.Error()}) })
	}()
}

func (w *Worker) unwatch(c *container) {
	if c.watch != nil {
		c.watch()
	}
	c.watch, c.watched, c.started, c.ready = nil, "", false, false
}

// probed takes in what a probe found. The worker's next step reports it.
func (w *Worker) probed(ctx context.Context, r probeResult) {
	for _, c := range w.containers {
		if c.spec.Name != r.container || c.current == nil || c.current.Id != r.id || !c.running() {
			continue
		}
		switch {
		case w.stopping && r.kind != readiness:
		case r.failed:
			w.note("Unhealthy", fmt.Sprintf("%s probe failed: %s", r.kind, r.failure))
		case r.kind == readiness:
			if c.ready = r.result.OK; c.ready {
				w.note("Ready", "Container "+c.spec.Name+" is ready")
			}
		case r.result.OK && r.kind == startup:
			w.startupDone(ctx, c)
		case !r.result.OK:
			w.unhealthy(c, r.kind)
		}
	}
}

func (w *Worker) startupDone(ctx context.Context, c *container) {
	c.started, c.ready = true, c.spec.ReadinessProbe == nil
	pctx, cancel := context.WithCancel(ctx)
	old := c.watch
	c.watch = func() { old(); cancel() }
	w.probeLife(pctx, c)
}

// unhealthy dooms a container that its probe gave up; the next step stops it, and
// it is then restarted as if it had exited.
func (w *Worker) unhealthy(c *container, kind probeKind) {
	spec, word, what := c.spec.LivenessProbe, "liveness", "Container"
	if kind == startup {
		spec, word = c.spec.StartupProbe, "startup"
	}
	if c.kind == sidecar {
		what = "Init container"
	}
	d := &doom{message: fmt.Sprintf("%s %s failed %s probe", what, c.spec.Name, word), grace: spec.TerminationGracePeriodSeconds}
	if c.kind == regular && c.restartsKilled(&w.pod.Spec) {
		d.message, d.again = d.message+", will be restarted", true
	}
	c.doom = d
	w.unwatch(c)
}
