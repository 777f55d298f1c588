package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"k8s.io/utils/clock"
)

// Component is the name of the scheduler's leadership.
const Component = "scheduler"

// Options are what a scheduler works with.
type Options struct {
	Bus        bus.Bus
	Projection *projections.Projection
	Holder     string      // names this process in the leadership event
	Clock      clock.Clock // nil: the real one
	Config     *Config     // nil: the default one
	// API is the Kubernetes API as system:kube-scheduler: claims that wait for a node
	// are bound by it. Nil: pods with such claims wait.
	API http.RoundTripper
}

// Scheduler schedules while it leads.
type Scheduler struct{ options Options }

// New makes a scheduler; Run starts it.
func New(o Options) *Scheduler {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return &Scheduler{o}
}

// Run waits for leadership, schedules while it lasts, and stands again when
// it was lost or given up. It returns when ctx ends or the projection stops.
func (s *Scheduler) Run(ctx context.Context) error {
	for {
		lead, err := s.options.Bus.Lead(ctx, Component, s.options.Holder)
		if err != nil {
			return fmt.Errorf("scheduler: stand for leadership: %w", err)
		}
		err = s.term(lead)
		lost := lead.Context.Err() != nil
		lead.Release()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !lost && !errors.Is(err, events.ErrGone) {
			return fmt.Errorf("scheduler: %w", err)
		}
	}
}

// term is one leadership: it acts only after its own epoch is folded. If it reads
// so slowly that the history was trimmed past what it would read next (events.ErrGone), it
// has to begin from a snapshot, without knowing which of its placements are
// under way: that takes a new epoch, which voids those of this one.
func (s *Scheduler) term(lead bus.Leadership) error {
	if err := s.options.Projection.WaitFor(lead.Context, lead.Epoch); err != nil {
		return err
	}
	return s.schedule(lead)
}

// schedule runs one loop from a snapshot on until it can't go on.
func (s *Scheduler) schedule(lead bus.Leadership) error {
	ctx, cancel := context.WithCancel(lead.Context)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	snapshot := s.options.Projection.Snapshot()
	l := newLoop(s.options, lead, snapshot)
	defer l.writes.group.Wait()
	defer l.evictions.group.Wait()
	defer l.extensions.group.Wait()
	defer cancel()
	l.findTraces(ctx)
	changes := make(chan folded)
	group.Go(func() { follow(ctx, s.options.Projection, snapshot.Position(), changes) })
	group.Go(func() { l.outcomes.collect(ctx) })
	return l.run(ctx, changes)
}

// folded is a slice of changes, or why there are no more.
type folded struct {
	changes []projections.Change
	err     error
}

func follow(ctx context.Context, p *projections.Projection, from uint64, to chan<- folded) {
	for changes, err := range p.Changes(ctx, from) {
		select {
		case to <- folded{changes, err}:
		case <-ctx.Done():
			return
		}
	}
}
