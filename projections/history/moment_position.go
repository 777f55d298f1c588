package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Position is the position of the log that the moment means: the sequence, the
// last event stored at the time or before it, or the end.
//
// Errors: of class events.ErrGone when the history that is kept begins later
// (the text says where), of class events.ErrInvalid when the moment is in the
// future, and those of the log.
func (m Moment) Position(ctx context.Context, log bus.Log) (uint64, error) {
	first, last, err := log.Range(ctx)
	switch {
	case err != nil:
		return 0, fmt.Errorf("find %s in the log: %w", m.Text, err)
	case m.Now():
		return last, nil
	case m.Sequence > last:
		return 0, fmt.Errorf("position %d is in the future: the log ends at %d: %w", m.Sequence, last, events.ErrInvalid)
	case m.Sequence != 0 && m.Sequence+1 < first:
		return 0, m.gone(ctx, log, first)
	case m.Sequence != 0:
		return m.Sequence, nil
	case first > last:
		return 0, fmt.Errorf("%s: the log holds no events: %w", m.Text, events.ErrGone)
	}
	lo, hi := max(first, projections.Stored(ctx, log, m.Time)), last+1 // the first event stored after the time is in [lo, hi]
	for lo < hi {
		mid := lo + (hi-lo)/2
		e, err := eventFrom(ctx, log, mid)
		if err != nil {
			return 0, fmt.Errorf("find %s in the log: %w", m.Text, err)
		}
		if e != nil && !e.Stored.After(m.Time) {
			lo = max(mid, e.Sequence) + 1
		} else {
			hi = mid
		}
	}
	if lo == first {
		return 0, m.gone(ctx, log, first)
	}
	return lo - 1, nil
}

// Beginning is the position after which a stretch of the log that begins at the
// moment begins: that of Position; 0 for a time before all events of a log that
// still has its first one.
func (m Moment) Beginning(ctx context.Context, log bus.Log) (uint64, error) {
	position, err := m.Position(ctx, log)
	if !errors.Is(err, events.ErrGone) || m.Sequence != 0 {
		return position, err
	}
	if first, _, rangeErr := log.Range(ctx); rangeErr != nil || first > 1 {
		return 0, err
	}
	return 0, nil
}

// gone says that the history kept begins at first, later than the moment.
func (m Moment) gone(ctx context.Context, log bus.Log, first uint64) error {
	begin := fmt.Sprintf("at %d", first)
	if e, err := eventFrom(ctx, log, first); err == nil && e != nil {
		begin = fmt.Sprintf("at %s (sequence %d)", e.Stored.UTC().Format(time.RFC3339), e.Sequence)
	}
	what := m.Text
	if m.Sequence == 0 {
		if utc := m.Time.UTC().Format(time.RFC3339); utc != m.Text {
			what += ", which is " + utc + ","
		}
	}
	return fmt.Errorf("%s is before the history that is kept: it begins %s: %w", what, begin, events.ErrGone)
}

// eventFrom gives the event at a position or the next one there is, nil at the end.
func eventFrom(ctx context.Context, log bus.Log, position uint64) (*events.Event, error) {
	e, err := log.Get(ctx, position)
	if err == nil || !errors.Is(err, events.ErrNotFound) && !errors.Is(err, events.ErrGone) {
		return e, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for e, err := range log.Read(ctx, position) {
		return e, err
	}
	return nil, nil
}
