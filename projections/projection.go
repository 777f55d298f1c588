package projections

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Projection folds one log.
type Projection struct {
	log     bus.Log
	buffer  int
	current atomic.Pointer[Snapshot]

	mu       sync.Mutex
	state    *state        // the folding goroutine's own
	changes  []Change      // the last ones, in order; bounded by 2×buffer
	from     uint64        // every change after this position is in changes
	advanced chan struct{} // closed and replaced at each publication
	err      error         // why folding stopped
}

// Option changes how a projection works.
type Option func(*Projection)

// Buffer sets how many changes are kept for readers of Changes (default 65,536).
func Buffer(n int) Option { return func(p *Projection) { p.buffer = n } }

// New makes a projection of log that is empty until Run folds it.
func New(log bus.Log, options ...Option) *Projection {
	p := &Projection{log: log, buffer: 1 << 16, state: newState(), advanced: make(chan struct{})}
	for _, o := range options {
		o(p)
	}
	p.current.Store(&Snapshot{p.state.freeze()})
	return p
}

// Run folds the log until ctx ends or an event can't be read (an envelope of a
// newer version, events missing below the first one kept). It is called once.
func (p *Projection) Run(ctx context.Context) error {
	for batch, err := range p.log.Follow(ctx, p.state.position+1) {
		if err != nil {
			return p.stop(fmt.Errorf("fold at %d: %w", p.state.position, err))
		}
		p.fold(batch)
	}
	return p.stop(ctx.Err())
}

func (p *Projection) stop(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	close(p.advanced)
	p.advanced = make(chan struct{})
	return err
}

// fold applies a batch and publishes the state after it.
func (p *Projection) fold(batch []*events.Event) {
	changes := make([]Change, len(batch))
	for i, e := range batch {
		changes[i] = p.state.apply(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes = append(p.changes, changes...)
	if len(p.changes) > 2*p.buffer {
		drop := len(p.changes) - p.buffer
		p.from = p.changes[drop-1].Event.Sequence
		p.changes = append(make([]Change, 0, 2*p.buffer+512), p.changes[drop:]...)
	}
	p.current.Store(&Snapshot{p.state.freeze()})
	close(p.advanced)
	p.advanced = make(chan struct{})
}

// Snapshot is the newest state.
func (p *Projection) Snapshot() *Snapshot { return p.current.Load() }

// WaitFor returns when Snapshot is at position or later. It fails with ctx's
// error, or with the reason why folding stopped.
func (p *Projection) WaitFor(ctx context.Context, position uint64) error {
	for p.current.Load().Position() < position {
		p.mu.Lock()
		advanced, err := p.advanced, p.err
		at := p.current.Load().Position()
		p.mu.Unlock()
		if at >= position {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for %d: folding stopped at %d: %w", position, at, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d, folded up to %d: %w", position, at, ctx.Err())
		case <-advanced:
		}
	}
	return nil
}

// Changes yields the changes after position from, in order, in slices of what
// was there at once; it goes on until ctx ends. A position older than the
// buffer, or a reader slower than it, yields an error of class events.ErrGone.
func (p *Projection) Changes(ctx context.Context, from uint64) iter.Seq2[[]Change, error] {
	return func(yield func([]Change, error) bool) {
		for {
			p.mu.Lock()
			have, advanced, err := p.changes, p.advanced, p.err
			oldest := p.from
			p.mu.Unlock()
			if from < oldest {
				yield(nil, fmt.Errorf("changes after %d: kept from %d on, read a snapshot: %w", from, oldest, events.ErrGone))
				return
			}
			if i := after(have, from); i < len(have) {
				news := have[i:len(have):len(have)]
				from = news[len(news)-1].Event.Sequence
				if !yield(news, nil) {
					return
				}
				continue
			}
			if err != nil {
				yield(nil, fmt.Errorf("folding stopped: %w", err))
				return
			}
			select {
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			case <-advanced:
			}
		}
	}
}

// after is the index of the first change after position.
func after(changes []Change, position uint64) int {
	lo, hi := 0, len(changes)
	for lo < hi {
		mid := (lo + hi) / 2
		if changes[mid].Event.Sequence > position {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
