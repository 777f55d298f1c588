package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// historySlice is how many changes History yields at once.
const historySlice = 512

// pastStep is how far before the state asked for another one is kept, after a
// long fold: who asks for one past position asks for others near it, as the
// watches do that come back after a restart.
const pastStep = 2048

// At is the state after the event at position: folded from the nearest older
// snapshot at hand or checkpoint. A position that the log didn't reach yet is
// waited for. One older than the history kept is an error of class events.ErrGone.
func (p *Projection) At(ctx context.Context, position uint64) (*Snapshot, error) {
	if err := p.WaitFor(ctx, position); err != nil {
		return nil, err
	}
	if s := p.nearby(position); s != nil && s.Position() == position {
		return s, nil
	}
	if p.lastValues {
		return nil, fmt.Errorf("state at %d: this log keeps last values only: %w", position, events.ErrGone)
	}
	if s := p.recall(position); s != nil {
		return s, nil
	}
	if err := p.past.enter(ctx); err != nil {
		return nil, err
	}
	defer p.past.leave()
	base, damaged, err := p.base(ctx, position)
	if err != nil || base.Position() == position {
		return base, err
	}
	s := base.s.past(p.Snapshot())
	for e, err := range p.read(ctx, s.position, position) {
		if err != nil {
			return nil, fmt.Errorf("state at %d: %w", position, err)
		}
		s.apply(e)
		if s.position == position-pastStep {
			p.keepPast(&Snapshot{s.freeze()})
		}
		if slices.Contains(damaged, s.position) {
			p.rewrite(ctx, &Snapshot{s.freeze()})
		}
	}
	out := &Snapshot{s.freeze()}
	p.keepPast(out)
	return out, nil
}

func (p *Projection) keepPast(s *Snapshot) {
	p.past.add(s, p.now())
	p.expireLater()
}

// nearby is the newest snapshot in memory that is not after position, or nil.
func (p *Projection) nearby(position uint64) *Snapshot {
	now := p.now()
	best := p.past.nearest(position, now)
	if s := p.retained.get(position, now); s != nil {
		best = s
	}
	if s := p.Snapshot(); s.Position() <= position {
		best = s
	}
	return best
}

// base is the newest state that the log can be folded on from up to position,
// and the positions of the checkpoints between that can't be read.
func (p *Projection) base(ctx context.Context, position uint64) (base *Snapshot, damaged []uint64, err error) {
	first, _, err := p.log.Range(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("state at %d: %w", position, err)
	}
	best := p.nearby(position)
	if best != nil && best.Position()+1 < first {
		best = nil
	}
	stored, err := p.checkpoints.positions(ctx)
	if err != nil {
		return nil, nil, err
	}
	for i := sort.Search(len(stored), func(i int) bool { return stored[i] > position }) - 1; i >= 0; i-- {
		if stored[i]+1 < first || (best != nil && stored[i] <= best.Position()) {
			break
		}
		s, err := readCheckpoint(ctx, stored[i], p.checkpoints.Blobs, p.Snapshot())
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, fmt.Errorf("state at %d: %w", position, ctx.Err())
			}
			p.logger.Warn("a checkpoint can't be read, trying an older one", "position", stored[i], "error", err)
			if errors.Is(err, events.ErrInvalid) {
				damaged = append(damaged, stored[i])
			}
			continue
		}
		p.keepPast(s)
		return s, damaged, nil
	}
	switch {
	case best != nil:
		return best, damaged, nil
	case first <= 1:
		return &Snapshot{newState().freeze()}, damaged, nil
	}
	return nil, nil, fmt.Errorf("state at %d: the history that is kept begins later (the log at %d): %w", position, first, events.ErrGone)
}

// PositionAt is the position that the log had at a time: that of the last
// event stored then or before. A time before the history that is kept is an
// error of class events.ErrGone.
func (p *Projection) PositionAt(ctx context.Context, t time.Time) (uint64, error) {
	first, last, err := p.log.Range(ctx)
	if err != nil {
		return 0, fmt.Errorf("position at %s: %w", t.Format(time.RFC3339), err)
	}
	lo, hi := max(first, Stored(ctx, p.log, t)), last+1 // the first event stored after t is in [lo, hi]
	for lo < hi {
		mid := lo + (hi-lo)/2
		e, err := p.log.Get(ctx, mid)
		if errors.Is(err, events.ErrNotFound) { // no event there: the next one
			e, err = p.eventAt(ctx, mid)
		}
		if errors.Is(err, events.ErrGone) { // trimmed meanwhile
			lo = mid + 1
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("position at %s: %w", t.Format(time.RFC3339), err)
		}
		if e != nil && !e.Stored.After(t) {
			lo = max(mid, e.Sequence) + 1
		} else {
			hi = mid
		}
	}
	if lo == first && first > 1 {
		return 0, fmt.Errorf("position at %s: the log begins at %d, later than that: %w", t.Format(time.RFC3339), first, events.ErrGone)
	}
	return lo - 1, nil
}

// Stored is the beginning of an archiving log's stream if t is within the
// stream, else 0: what is in the stream is found without the archive.
func Stored(ctx context.Context, log bus.Log, t time.Time) uint64 {
	a, ok := log.(Archive)
	if !ok {
		return 0
	}
	hot, _, err := a.Stream().Range(ctx)
	if err != nil {
		return 0
	}
	if e, err := a.Stream().Get(ctx, hot); err != nil || e.Stored.After(t) {
		return 0
	}
	return hot
}

// eventAt gives the event at a position or the next one there is, nil at the end.
func (p *Projection) eventAt(ctx context.Context, position uint64) (*events.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for e, err := range p.log.Read(ctx, position) {
		return e, err
	}
	return nil, nil
}

// History yields the changes after position from, up to and including to,
// folded again from the log, in slices.
func (p *Projection) History(ctx context.Context, from, to uint64) iter.Seq2[[]Change, error] {
	return func(yield func([]Change, error) bool) {
		if to <= from {
			return
		}
		base, err := p.At(ctx, from)
		if err != nil {
			yield(nil, fmt.Errorf("changes after %d: %w", from, err))
			return
		}
		s := base.s.past(p.Snapshot())
		slice := make([]Change, 0, historySlice)
		for e, err := range p.read(ctx, from, to) {
			if err != nil {
				yield(nil, fmt.Errorf("changes after %d: %w", from, err))
				return
			}
			slice = append(slice, s.apply(e))
			if len(slice) == historySlice {
				if !yield(slice, nil) {
					return
				}
				slice = make([]Change, 0, historySlice)
			}
		}
		if len(slice) > 0 {
			yield(slice, nil)
		}
	}
}

// read yields the log's events after position from up to to. If the log is
// trimmed while it is read, that is an error of class events.ErrGone.
func (p *Projection) read(ctx context.Context, from, to uint64) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for e, err := range p.log.Read(ctx, from+1) {
			if err == nil && e.Sequence != from+1 {
				var first uint64
				if first, _, err = p.log.Range(ctx); err == nil && first > from+1 {
					err = fmt.Errorf("the log begins at %d by now: %w", first, events.ErrGone)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if e.Sequence > to || !yield(e, nil) {
				return
			}
			from = e.Sequence
		}
	}
}
