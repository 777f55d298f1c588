package projections

import (
	"context"
	"fmt"
	"iter"
	"sort"

	"github.com/reckon-project/reckon/events"
)

// A ChangesOption changes how a reader of Changes is served.
type ChangesOption func(*reading)

type reading struct{ bufferOnly bool }

// BufferOnly gives a reader what is in memory and nothing else: a position
// older than the buffer, or a reader slower than it, is an error of class
// events.ErrGone. It is for readers that would rather read a snapshot again
// (schedulers, controllers) than see every step of what they missed.
func BufferOnly() ChangesOption { return func(r *reading) { r.bufferOnly = true } }

// Changes yields the changes after position from, in order, in slices of what
// was there at once; it goes on until ctx ends.
//
// What is no longer in memory is folded again from the log, so a reader may
// begin at any position within the history that is kept and may be as slow as
// it likes. Where such changes meet those in memory, Old is equal to the New
// before it but not the same pointer. Only a position older than the history
// is an error of class events.ErrGone (see BufferOnly for the other way).
func (p *Projection) Changes(ctx context.Context, from uint64, options ...ChangesOption) iter.Seq2[[]Change, error] {
	r := reading{bufferOnly: p.lastValues} // a log of last values has no past to fold again
	for _, o := range options {
		o(&r)
	}
	return func(yield func([]Change, error) bool) {
		for {
			p.mu.Lock()
			have, advanced, err, oldest := p.changes, p.advanced, p.err, p.from
			p.mu.Unlock()
			if from < oldest {
				if r.bufferOnly {
					yield(nil, fmt.Errorf("changes after %d: kept from %d on, read a snapshot: %w", from, oldest, events.ErrGone))
					return
				}
				for news, err := range p.History(ctx, from, oldest) {
					if !yield(news, err) || err != nil {
						return
					}
					from = news[len(news)-1].Event.Sequence
				}
				from = max(from, oldest)
				continue
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
	return sort.Search(len(changes), func(i int) bool { return changes[i].Event.Sequence > position })
}
