package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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

	// Metrics, if there are any, count what controllers do.
	Metrics *Metrics
	// Reporter is who reports facts; "" is Component.
	Reporter string
	// Reach is told which position the projection is waited for, where it doesn't
	// get there by itself: it folds a part of the log (package bus/client). nil: it does.
	Reach func(sequence uint64)
	// StopTimeout is how long reconciles under way may go on, under the leadership,
	// when Run's context ends. 0: they end at once.
	StopTimeout time.Duration
	// DryRun, if set, is told the intents that would be carried out. None is, no
	// leadership is taken, and one that leads isn't disturbed.
	DryRun io.Writer
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
	if o.Reporter == "" {
		o.Reporter = o.Component
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
		lead, err := o.lead(ctx)
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
		err = runTerm(ctx, lead, o, cs)
		lead.Release()
		if err != nil && lead.Context.Err() == nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// lead waits for the leadership. One that is to stop gently outlives ctx.
func (o Options) lead(ctx context.Context) (bus.Leadership, error) {
	if o.DryRun != nil {
		return bus.Leadership{Component: o.Component, Epoch: 1, Context: ctx, Release: func() {}}, nil
	}
	if o.StopTimeout == 0 {
		return o.Bus.Lead(ctx, o.Component, o.Holder)
	}
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	lead, err := o.Bus.Lead(held, o.Component, o.Holder)
	if !stop() && err == nil { // it ends with held
		lead.Release()
		err = ctx.Err()
	}
	if err != nil {
		end()
		return lead, err
	}
	release := lead.Release
	lead.Release = func() {
		release()
		end()
	}
	return lead, nil
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
	epoch    uint64
	stopping context.Context // ended: no reconcile begins any more
	facts    atomic.Uint64   // reported so far
	printed  sync.Map        // DryRun: by key, what was told last
	queues   []*queue
	slots    chan struct{} // one per intent under way
	mappers  map[resource][]target
	merged   map[resource]bool // their mappers have those of all
	all      []target          // of watches of every resource
	seen     seen              // by dispatch
	shown    shown             // by dispatch
}

// seen is what the mappers are being shown.
type seen struct {
	object      events.Key
	sequence    uint64
	traceparent string
}

type resource struct{ group, name string }

type target struct {
	mapper Mapper
	add    func(events.Key)
}

// target is where a mapper's keys go. What they are added by is made once: it is
// handed to every mapper for every event.
func (t *term) target(q *queue, m Mapper) target {
	return target{m, func(k events.Key) {
		q.note(k, t.seen.sequence, t.seen.traceparent, k == t.seen.object)
	}}
}

func runTerm(stop context.Context, lead bus.Leadership, o Options, cs []*Controller) error {
	ctx, cancel := context.WithCancel(lead.Context)
	defer cancel()
	stopping, halt := context.WithCancel(ctx)
	defer halt()
	defer context.AfterFunc(stop, halt)()
	t := &term{
		Options: o, epoch: lead.Epoch, stopping: stopping,
		slots: make(chan struct{}, o.InFlight), mappers: map[resource][]target{}, merged: map[resource]bool{},
	}
	if err := t.fold(stopping, lead.Epoch); err != nil {
		return fmt.Errorf("fold the leadership of %s: %w", o.Component, err)
	}
	o.Metrics.lead(true)
	defer o.Metrics.lead(false)
	var workers sync.WaitGroup
	for _, c := range cs {
		q := newQueue(c, o.Clock)
		o.Metrics.follow(q)
		t.queues = append(t.queues, q)
		for _, w := range c.watches {
			if w.resource == "*" {
				t.all = append(t.all, t.target(q, w.mapper))
				continue
			}
			r := resource{w.group, w.resource}
			t.mappers[r] = append(t.mappers[r], t.target(q, w.mapper))
		}
		var rt http.RoundTripper
		if o.Intake != nil {
			rt = o.Intake(c.account)
		}
		for _, source := range c.sources {
			workers.Go(func() { t.learn(stopping, q, source) })
		}
		for range c.workers {
			workers.Go(func() { t.work(ctx, q, rt) })
		}
	}
	err := t.dispatch(stopping)
	halt()
	if stop.Err() != nil && o.StopTimeout > 0 {
		late := time.AfterFunc(o.StopTimeout, cancel)
		defer late.Stop()
	} else {
		cancel()
	}
	for _, q := range t.queues {
		q.shutDown()
	}
	workers.Wait()
	return err
}

// waitFor returns when a position is folded and shown to the mappers. So a key
// that a write, and what came with it, lead back to is queued before the worker that
// wrote is done with it: it is reconciled once for all of that, and not, depending on
// who is quicker, once for what came before and once more.
func (t *term) waitFor(ctx context.Context, position uint64) error {
	if err := t.fold(ctx, position); err != nil {
		return err
	}
	return t.shown.waitFor(ctx, position)
}

// fold returns when the projection is at a position.
func (t *term) fold(ctx context.Context, position uint64) error {
	if t.Reach != nil && t.Projection.Snapshot().Position() < position {
		t.Reach(position)
	}
	return t.Projection.WaitFor(ctx, position)
}

// dispatch maps changes to keys until ctx ends or the projection stops.
func (t *term) dispatch(ctx context.Context) error {
	defer t.shown.end()
	for {
		s := t.Projection.Snapshot()
		t.dispatchAll(s)
		var failed error
		for changes, err := range t.Projection.Changes(ctx, s.Position()) {
			if err != nil {
				failed = err
				break
			}
			for part := range slices.Chunk(changes, mostAtOnce) {
				t.dispatchChanges(part)
			}
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
			t.seen = seen{object: o.Key, sequence: o.Version}
			for _, target := range targets {
				target.mapper(s, projections.Change{New: o}, target.add)
			}
		}
	}
	t.addNoted(s.Position())
}

// addNoted asks for the reconciles that all up to position leads to.
func (t *term) addNoted(position uint64) {
	for _, q := range t.queues {
		q.addNoted()
	}
	t.shown.reach(position)
}

// mostAtOnce bounds what is shown before the first reconcile that it leads to.
const mostAtOnce = 256

// dispatchChanges shows changes that came together. No key is reconciled before all
// of them that lead to it are known.
func (t *term) dispatchChanges(changes []projections.Change) {
	s := t.Projection.Snapshot()
	for _, c := range changes {
		if c.Void != nil || c.Event.Type == events.Elected {
			continue
		}
		t.seen = seen{object: c.Event.Key, sequence: c.Event.Sequence, traceparent: c.Event.Traceparent}
		for _, target := range t.targets(resource{c.Event.Key.Group, c.Event.Key.Resource}) {
			target.mapper(s, c, target.add)
		}
	}
	t.addNoted(changes[len(changes)-1].Event.Sequence)
}

// targets are those of a resource, with those of every resource.
func (t *term) targets(r resource) []target {
	if !t.merged[r] {
		t.mappers[r], t.merged[r] = append(t.mappers[r], t.all...), true
	}
	return t.mappers[r]
}

// learn runs a source, again a second after it failed.
func (t *term) learn(ctx context.Context, q *queue, source Source) {
	for ctx.Err() == nil {
		err := source(ctx, func(k events.Key) { q.keys.Add(k) })
		if ctx.Err() != nil {
			return
		}
		t.Logger.Warn("a source ended", "controller", q.controller.name, "error", err)
		pause(ctx, time.Second)
	}
}
