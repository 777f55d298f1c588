package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Reader answers questions about the past of one log.
type Reader struct {
	Log        bus.Log
	Projection *projections.Projection // of Log, running
}

// leaderships is where the leaderships are, which the fold of any object needs.
var leaderships = func() string {
	subject := bus.LeaderKey("x").Subject()
	return subject[:strings.LastIndexByte(subject, '.')+1] + "*"
}()

// filters select what the fold of an object needs.
func filters(k events.Key) []string {
	if k == bus.LeaderKey(k.Name) {
		return []string{leaderships}
	}
	return []string{k.Subject(), factsOf(k), leaderships}
}

// factsOf selects the facts that anybody reported about an object.
func factsOf(k events.Key) string {
	return events.PrefixFact + ".*." + strings.TrimPrefix(k.Subject(), events.PrefixDecision+".")
}

// changes yields the changes of one object, from its first event that is kept,
// by reading its own events only.
func (r *Reader) changes(ctx context.Context, k events.Key) iter.Seq2[projections.Change, error] {
	return func(yield func(projections.Change, error) bool) {
		first, _, err := r.Log.Range(ctx)
		if err != nil {
			yield(projections.Change{}, fmt.Errorf("history of %s: %w", k, err))
			return
		}
		f := newFold(func(component string) (uint64, error) { return r.epochBefore(ctx, first, component) })
		begun := false
		for e, err := range r.Log.Read(ctx, 0, filters(k)...) {
			if err != nil {
				yield(projections.Change{}, fmt.Errorf("history of %s: %w", k, err))
				return
			}
			if e.Key == k && !begun {
				begun = true
				if first > 1 && !creates(e) {
					base, err := r.Projection.At(ctx, first-1)
					if err != nil {
						yield(projections.Change{}, fmt.Errorf("history of %s: %w", k, err))
						return
					}
					f.objects[k] = base.Get(k)
				}
			}
			c, err := f.apply(e)
			if err != nil {
				yield(projections.Change{}, fmt.Errorf("history of %s: %w", k, err))
				return
			}
			if e.Key == k && !yield(c, nil) {
				return
			}
		}
	}
}

// creates: nothing can have been there before such an event, since the gateway
// appends it only where its subject ended with a deletion.
func creates(e *events.Event) bool {
	return e.Prefix == events.PrefixDecision && e.ContentType == events.ContentObject && (e.Type == events.Created || e.Type == events.Joined)
}

// epochBefore is a component's epoch when the history kept begins.
func (r *Reader) epochBefore(ctx context.Context, first uint64, component string) (uint64, error) {
	if first <= 1 {
		return 0, nil
	}
	if now := r.Projection.Snapshot().Epoch(component); now < first {
		return now, nil // nobody was elected since
	}
	base, err := r.Projection.At(ctx, first-1)
	if err != nil {
		return 0, err
	}
	return base.Epoch(component), nil
}

// event gives one event of the log; missing says in words why there is none.
func (r *Reader) event(ctx context.Context, sequence uint64) (e *events.Event, missing string, err error) {
	e, err = r.Log.Get(ctx, sequence)
	switch {
	case errors.Is(err, events.ErrGone):
		return nil, "it is older than the history that is kept", nil
	case errors.Is(err, events.ErrNotFound):
		return nil, "the log holds no such event", nil
	}
	return e, "", err
}
