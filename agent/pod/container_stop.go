package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/probe"
)

// leastGrace is what a container gets at least between its stop signal and SIGKILL.
const leastGrace = 2 * time.Second

// stop is one running container on its way to its end. It is made by the worker
// and carried out beside it.
type stop struct {
	c      *container
	id     string
	spec   *v1.Container
	target probe.Target
	hook   bool
	grace  time.Duration
	after  []*stop // those that have to end first, unless the grace period is over
	done   chan struct{}

	status  *cri.ContainerStatus
	mishaps []string // what to say about it
	err     error
}

func (w *Worker) newStop(c *container, grace time.Duration) *stop {
	s := &stop{c: c, id: c.current.Id, spec: c.spec, target: w.target(c), grace: grace, done: make(chan struct{})}
	s.hook = c.hooked != s.id && c.spec.Lifecycle != nil && c.spec.Lifecycle.PreStop != nil
	c.hooked = s.id
	return s
}

// carryOut runs the preStop hook, waits for the container's turn and stops it: the
// signal, and SIGKILL when the grace period, which all three share, is over.
func (s *stop) carryOut(ctx context.Context, h *Host) {
	defer close(s.done)
	begin := h.Clock.Now()
	left := func() time.Duration { return s.grace - h.Clock.Since(begin) }
	if s.hook && s.grace > 0 {
		hctx, cancel := withTimeout(ctx, h, s.grace)
		if err := h.hook(hctx, s.id, s.target, s.spec.Lifecycle.PreStop); err != nil && hctx.Err() == nil {
			h.Log.Info("a preStop hook failed", "container", s.spec.Name, "err", err)
			s.mishaps = append(s.mishaps, "PreStopHook failed")
		}
		cancel()
	}
	tctx, cancel := withTimeout(ctx, h, max(left(), 0))
	for _, other := range s.after {
		select {
		case <-tctx.Done():
		case <-other.done:
		}
	}
	cancel()
	if s.err = ctx.Err(); s.err != nil {
		return
	}
	if s.err = h.Runtime.StopContainer(ctx, s.id, max(left(), leastGrace)); s.err != nil {
		return
	}
	s.status, s.err = h.Runtime.ContainerStatus(ctx, s.id)
}

// withTimeout is context.WithTimeout by the host's clock.
func withTimeout(ctx context.Context, h *Host, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if d <= 0 {
		cancel()
		return ctx, cancel
	}
	timer := h.Clock.AfterFunc(d, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// stopAll stops containers side by side. Meanwhile their readiness goes on to be told.
func (w *Worker) stopAll(ctx context.Context, stops []*stop) error {
	ended := make(chan *stop, len(stops))
	for _, s := range stops {
		w.probes.Add(1)
		go func() {
			defer w.probes.Done()
			s.carryOut(ctx, w.host)
			ended <- s
		}()
	}
	var errs []error
	for left := len(stops); left > 0; {
		select {
		case r := <-w.results:
			w.probed(ctx, r)
		case s := <-ended:
			left--
			for _, m := range s.mishaps {
				w.note("FailedPreStopHook", m)
			}
			w.markDirty()
			if s.err != nil {
				errs = append(errs, fmt.Errorf("stop container %s: %w", s.spec.Name, s.err))
				continue
			}
			if s.c.current != nil && s.c.current.Id == s.id {
				s.c.current = s.status
			}
			w.unwatch(s.c)
		}
		if left > 0 {
			w.settleReport()
		}
	}
	return errors.Join(errs...)
}

// kill stops one running container that has to go.
func (w *Worker) kill(ctx context.Context, c *container, d doom) error {
	w.note("Killing", d.message)
	grace := w.grace()
	if d.grace != nil && w.pod.DeletionGracePeriodSeconds == nil {
		grace = seconds64(*d.grace)
	}
	c.failure, c.again = d.message, d.again
	if err := w.stopAll(ctx, []*stop{w.newStop(c, grace)}); err != nil {
		return err
	}
	c.doom = nil
	return nil
}

// stopContainers stops all: regular containers at once, then the sidecars one by one, the
// last of the spec first.
func (w *Worker) stopContainers(ctx context.Context) error {
	w.stopping = true
	var stops, first, sidecars []*stop
	for _, c := range w.containers {
		if !c.running() {
			w.unwatch(c)
			continue
		}
		w.note("Killing", "Stopping container "+c.spec.Name)
		s := w.newStop(c, w.grace())
		stops = append(stops, s)
		switch c.kind {
		case regular:
			first = append(first, s)
		case sidecar:
			sidecars = append(sidecars, s)
		}
	}
	for i, s := range sidecars {
		s.after = append(append(s.after, first...), sidecars[i+1:]...)
	}
	return w.stopAll(ctx, stops)
}
