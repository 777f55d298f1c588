package projections

import (
	"context"
	"fmt"
	"slices"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// An Archive is a log that can keep its older part elsewhere (bus/archive.Log).
type Archive interface {
	bus.Log
	Stream() bus.Log // what is not archived
	// Move archives what is below before, and then trims the stream.
	Move(ctx context.Context, before uint64) error
}

// Trim removes the log's events below the newest checkpoint that is not after
// position, and with them the history before it. That checkpoint is then the
// base of everything: it, and one newer, must be readable, or nothing is done
// (class events.ErrUnavailable). It returns where the log begins now.
//
// It first appends the event events.Trimmed, so that every fold, live or later, forgets
// the trimmed tombstones at the same position; until the removal that follows,
// a decision about an object not touched since may see one needless Conflict.
// Of a log that archives, segments go as a whole, so it may begin earlier.
// Only one process may trim at a time. source names who does.
func (p *Projection) Trim(ctx context.Context, position uint64, source string) (uint64, error) {
	return p.cut(ctx, position, source, "removed", p.log, p.log.Trim)
}

// Move is Trim for a log that archives (class events.ErrInvalid for others):
// the history stays, the stream begins at the checkpoint. It returns where the
// stream begins now.
func (p *Projection) Move(ctx context.Context, position uint64, source string) (uint64, error) {
	a, ok := p.log.(Archive)
	if !ok {
		return 0, fmt.Errorf("move the history before %d: %w: this log has no archive", position, events.ErrInvalid)
	}
	return p.cut(ctx, position, source, "archived", a.Stream(), a.Move)
}

func (p *Projection) cut(ctx context.Context, position uint64, source, how string, from bus.Log, remove func(context.Context, uint64) error) (uint64, error) {
	p.tidying.Lock()
	defer p.tidying.Unlock()
	first, _, err := from.Range(ctx)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	stored, err := p.checkpoints.positions(ctx)
	if err != nil {
		return first, fmt.Errorf("trim: %w", err)
	}
	i, exact := slices.BinarySearch(stored, position)
	if !exact {
		i--
	}
	if i < 0 || stored[i] < first {
		return first, nil
	}
	before := stored[i] + 1
	if i+1 >= len(stored) {
		return first, fmt.Errorf("trim below %d: only one checkpoint would remain, two are needed: %w", before, events.ErrUnavailable)
	}
	for _, base := range stored[i : i+2] {
		if _, err := readCheckpoint(ctx, base, p.checkpoints.Blobs, p.Snapshot()); err != nil {
			return first, fmt.Errorf("trim below %d: %w: %w", before, events.ErrUnavailable, err)
		}
	}
	// What is below First was announced before: an earlier call didn't get to
	// its end, or it is the archive's.
	if before > p.Snapshot().First() {
		seq, err := p.log.Append(ctx, bus.Entry{
			Event:  trimmedEvent(before, how, source, p.now()),
			Expect: bus.Expect(p.Snapshot().Decision(LogKey)),
		})
		if err != nil {
			return first, fmt.Errorf("trim below %d: %w", before, err)
		}
		if err := p.WaitFor(ctx, seq); err != nil {
			return first, fmt.Errorf("trim below %d: %w", before, err)
		}
	}
	if err := remove(ctx, before); err != nil {
		return first, fmt.Errorf("trim below %d: %w", before, err)
	}
	return before, nil
}

// Begin is the first sequence that the log is kept from, in the archive if there
// is one. Snapshot.First is where the stream begins.
func (p *Projection) Begin(ctx context.Context) (uint64, error) {
	first, _, err := p.log.Range(ctx)
	if err != nil {
		return 0, fmt.Errorf("find the log's beginning: %w", err)
	}
	return first, nil
}

// bases are the two checkpoints that a stream beginning at first rests on.
func bases(stored []uint64, first uint64) []uint64 {
	i, _ := slices.BinarySearch(stored, max(first, 1)-1)
	return stored[i:min(i+2, len(stored))]
}
