package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Options are what controllers run on.
type Options struct {
	Bus        bus.Bus
	Projection *projections.Projection
	Intake     Intake
	Holder     string           // who leads: this process, for people
	Component  string           // name of the leadership; "" is "controllers"
	Clock      func() time.Time // nil: time.Now
	InFlight   int              // intents under way at once; 0: 128
	Logger     *slog.Logger     // nil: slog.Default
	Observe    func(Observation)
}

// Observation tells of one reconcile, for metrics.
type Observation struct {
	Controller string
	Key        events.Key
	Decide     time.Duration // in Reconcile
	Write      time.Duration // carrying out the intents, and their fold
	Intents    int
	Err        error
}

// Run runs controllers whenever this process leads, until ctx ends (nil) or the
// projection stops (its error).
func Run(ctx context.Context, o Options, cs ...*Controller) error {
	if o.Component == "" {
		o.Component = "controllers"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.InFlight == 0 {
		o.InFlight = 128
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for ctx.Err() == nil {
		lead, err := o.Bus.Lead(ctx, o.Component, o.Holder)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			o.Logger.Warn("can't get the leadership", "component", o.Component, "error", err)
			if !pause(ctx, time.Second) {
				return nil
			}
			continue
		}
		err = runTerm(lead, o, cs)
		lead.Release()
		if err != nil && lead.Context.Err() == nil {
			return err
		}
	}
	return nil
}

// pause waits; it reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// term is the time of one leadership.
type term struct {
	Options
	epoch   uint64
	queues  []*queue
	slots   chan struct{} // one per intent under way
	mappers map[resource][]target
	all     []target // of watches of every resource
}

type resource struct{ group, name string }

type target struct {
	queue  *queue
	mapper Mapper
}

func runTerm(lead bus.Leadership, o Options, cs []*Controller) error {
	ctx, cancel := context.WithCancel(lead.Context)
	defer cancel()
	if err := o.Projection.WaitFor(ctx, lead.Epoch); err != nil {
		return fmt.Errorf("fold the leadership of %s: %w", o.Component, err)
	}
	t := &term{Options: o, epoch: lead.Epoch, slots: make(chan struct{}, o.InFlight), mappers: map[resource][]target{}}
	var workers sync.WaitGroup
	for _, c := range cs {
		q := newQueue(c, o.Clock)
		t.queues = append(t.queues, q)
		for _, w := range c.watches {
			if w.resource == "*" {
				t.all = append(t.all, target{q, w.mapper})
				continue
			}
			r := resource{w.group, w.resource}
			t.mappers[r] = append(t.mappers[r], target{q, w.mapper})
		}
		var rt http.RoundTripper
		if o.Intake != nil {
			rt = o.Intake(c.account)
		}
		for _, source := range c.sources {
			workers.Go(func() { t.learn(ctx, q, source) })
		}
		for range c.workers {
			workers.Go(func() { t.work(ctx, q, rt) })
		}
	}
	err := t.dispatch(ctx)
	cancel()
	for _, q := range t.queues {
		q.shutDown()
	}
	workers.Wait()
	return err
}

// dispatch maps changes to keys until ctx ends or the projection stops.
func (t *term) dispatch(ctx context.Context) error {
	for {
		s := t.Projection.Snapshot()
		t.dispatchAll(s)
		var failed error
		for changes, err := range t.Projection.Changes(ctx, s.Position()) {
			if err != nil {
				failed = err
				break
			}
			t.dispatchChanges(changes)
		}
		if !errors.Is(failed, events.ErrGone) {
			return failed
		}
		t.Logger.Warn("fell behind the log, looking at everything again", "error", failed)
	}
}

// dispatchAll shows every object to the watches. No key is reconciled before all
// that led to it is known.
func (t *term) dispatchAll(s *projections.Snapshot) {
	for group, name := range s.Resources() {
		targets := t.targets(resource{group, name})
		if len(targets) == 0 {
			continue
		}
		for o := range s.List(group, name, "") {
			for _, target := range targets {
				target.mapper(s, projections.Change{New: o}, func(k events.Key) { target.queue.note(k, o.Version, "", k == o.Key) })
			}
		}
	}
	for _, q := range t.queues {
		q.addNoted()
	}
}

func (t *term) dispatchChanges(changes []projections.Change) {
	s := t.Projection.Snapshot()
	for _, c := range changes {
		if c.Void != nil || c.Event.Type == events.Elected {
			continue
		}
		for _, target := range t.targets(resource{c.Event.Key.Group, c.Event.Key.Resource}) {
			target.mapper(s, c, func(k events.Key) { target.queue.enqueue(k, c.Event.Sequence, c.Event.Traceparent, k == c.Event.Key) })
		}
	}
}

func (t *term) targets(r resource) []target {
	if len(t.all) == 0 {
		return t.mappers[r]
	}
	own := t.mappers[r]
	return append(own[:len(own):len(own)], t.all...)
}

// learn runs a source, again a second after it failed.
func (t *term) learn(ctx context.Context, q *queue, source Source) {
	for ctx.Err() == nil {
		err := source(ctx, func(k events.Key) { q.enqueue(k, 0, "", false) })
		if ctx.Err() != nil {
			return
		}
		t.Logger.Warn("a source ended", "controller", q.controller.name, "error", err)
		pause(ctx, time.Second)
	}
}
