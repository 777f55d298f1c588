package projections

import (
	"context"
	"fmt"
	"iter"

	"github.com/reckon-project/reckon/events"
)

// Step is one change and the state right before it.
type Step struct {
	Change
	Before *Snapshot
}

// A ReplayOption changes what Replay yields.
type ReplayOption func(*replaying)

type replaying struct{ only func(*events.Event) bool }

// Only lets Replay yield the events that match; the others are folded all the
// same. Most of a replay's cost is the Snapshot before each event yielded.
func Only(match func(*events.Event) bool) ReplayOption {
	return func(r *replaying) { r.only = match }
}

// Replay yields the changes after position from, up to and including to, each
// with the Snapshot before it: what a scheduler or controller would have seen
// when the event was appended next. It folds the log again, and ends with an
// error of class events.ErrGone where the history that is kept doesn't reach.
func (p *Projection) Replay(ctx context.Context, from, to uint64, options ...ReplayOption) iter.Seq2[Step, error] {
	r := replaying{only: func(*events.Event) bool { return true }}
	for _, o := range options {
		o(&r)
	}
	return func(yield func(Step, error) bool) {
		if to <= from {
			return
		}
		base, err := p.At(ctx, from)
		if err != nil {
			yield(Step{}, fmt.Errorf("replay after %d: %w", from, err))
			return
		}
		s := base.s.past(p.Snapshot())
		for e, err := range p.read(ctx, from, to) {
			if err != nil {
				yield(Step{}, fmt.Errorf("replay after %d: %w", from, err))
				return
			}
			if !r.only(e) {
				s.apply(e)
				continue
			}
			before := &Snapshot{s.freeze()}
			if !yield(Step{Change: s.apply(e), Before: before}, nil) {
				return
			}
		}
	}
}
