package projections

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// lastCheckpoint is how long the checkpoint at a clean stop may take.
const lastCheckpoint = 30 * time.Second

// thin is how many checkpoints lie between two older than the newest ones.
const thin = 8

// Checkpoints says where a projection's checkpoints are, and when to write them.
type Checkpoints struct {
	Blobs bus.Blobs
	Every uint64 // events between two (default 50,000)
	Keep  int    // newest ones kept (default 3); older ones are thinned out to one in 8
	// ReadOnly reads what others wrote, and neither writes nor removes any: for
	// who looks at a cluster's past from outside.
	ReadOnly bool
}

func (c Checkpoints) every() uint64 {
	if c.Every == 0 {
		return 50_000
	}
	return c.Every
}

func (c Checkpoints) positions(ctx context.Context) ([]uint64, error) {
	if c.Blobs == nil {
		return nil, nil
	}
	return checkpointPositions(ctx, c.Blobs)
}

func (c Checkpoints) read(ctx context.Context, position uint64) (*Snapshot, error) {
	return ReadCheckpoint(ctx, position, c.Blobs)
}

// startCheckpoints writes checkpoints while the fold goes on, and one after it
// ended with ctx; the channel is closed when that is done. A checkpoint that
// can't be written is logged and tried again: the log has everything.
func (p *Projection) startCheckpoints(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	if p.checkpoints.Blobs == nil || p.checkpoints.ReadOnly || p.lastValues {
		close(done)
		return done
	}
	written := p.state.position
	go func() {
		defer close(done)
		// WaitFor ends when folding stops, so nothing else needs to end this.
		waiting := context.WithoutCancel(ctx)
		for p.WaitFor(waiting, written+p.checkpoints.every()) == nil && ctx.Err() == nil {
			written = p.checkpoint(ctx, written)
		}
		if ctx.Err() != nil && p.Snapshot().Position() > written {
			last, cancel := context.WithTimeout(waiting, lastCheckpoint)
			defer cancel()
			p.checkpoint(last, written)
		}
	}()
	return done
}

// checkpoint writes one and removes those no longer needed. It returns the
// position from which to count to the next.
func (p *Projection) checkpoint(ctx context.Context, written uint64) uint64 {
	s := p.Snapshot()
	if err := WriteCheckpoint(ctx, s, p.checkpoints.Blobs); err != nil {
		p.logger.Error("checkpoint not written", "position", s.Position(), "previous", written, "error", err)
		return s.Position()
	}
	if err := p.prune(ctx); err != nil {
		p.logger.Error("old checkpoints not removed", "error", err)
	}
	return s.Position()
}

// prune deletes checkpoints that the log no longer reaches back to, and thins
// out old ones. Those that the log begins with stay: without them it is lost.
func (p *Projection) prune(ctx context.Context) error {
	p.tidying.Lock()
	defer p.tidying.Unlock()
	first, _, err := p.log.Range(ctx)
	if err != nil {
		return err
	}
	stored, err := p.checkpoints.positions(ctx)
	if err != nil {
		return err
	}
	for _, position := range superfluous(stored, first, p.checkpoints.every(), p.checkpoints.Keep) {
		if err := p.checkpoints.Blobs.Delete(ctx, checkpointName(position)); err != nil {
			return fmt.Errorf("delete checkpoint at %d: %w", position, err)
		}
	}
	return nil
}

// superfluous says which checkpoints to delete: all that end before the log
// begins; and of those between the first two and the newest keep ones all but
// the first in each stretch of thin×every positions.
func superfluous(stored []uint64, first, every uint64, keep int) []uint64 {
	if keep <= 0 {
		keep = 3
	}
	base, _ := slices.BinarySearch(stored, max(first, 1)-1)
	out := slices.Clone(stored[:base])
	usable := stored[base:]
	stretch := uint64(0)
	for i, position := range usable {
		at := position/(thin*every) + 1
		if i >= 2 && i < len(usable)-keep && at == stretch {
			out = append(out, position)
		}
		stretch = at
	}
	return out
}

// Trim removes the log's events below the newest checkpoint that is not after
// position, and with them the history before it. That checkpoint is then the
// base of everything: it, and one newer, must be readable, or nothing is done
// (class events.ErrUnavailable). It returns where the log begins now.
//
// It first appends the event events.Trimmed, so that every fold, live or later, forgets
// the trimmed tombstones at the same position; until the removal that follows,
// a decision about an object not touched since may see one needless Conflict.
// Only one process may trim at a time. source names who does.
func (p *Projection) Trim(ctx context.Context, position uint64, source string) (uint64, error) {
	p.tidying.Lock()
	defer p.tidying.Unlock()
	first, _, err := p.log.Range(ctx)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	if due := p.Snapshot().First(); due > first { // an earlier Trim didn't get to its end
		if err := p.log.Trim(ctx, due); err != nil {
			return first, fmt.Errorf("trim below %d: %w", due, err)
		}
		first = due
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
	if i+1 >= len(stored) {
		return first, fmt.Errorf("trim below %d: only one checkpoint would remain, two are needed: %w", stored[i]+1, events.ErrUnavailable)
	}
	for _, base := range stored[i : i+2] {
		if _, err := p.checkpoints.read(ctx, base); err != nil {
			return first, fmt.Errorf("trim below %d: %w: %w", stored[i]+1, events.ErrUnavailable, err)
		}
	}
	before := stored[i] + 1
	seq, err := p.log.Append(ctx, bus.Entry{
		Event:  trimmedEvent(before, source, p.now()),
		Expect: bus.Expect(p.Snapshot().Decision(LogKey)),
	})
	if err != nil {
		return first, fmt.Errorf("trim below %d: %w", before, err)
	}
	if err := p.WaitFor(ctx, seq); err != nil {
		return first, fmt.Errorf("trim below %d: %w", before, err)
	}
	if err := p.log.Trim(ctx, before); err != nil {
		return first, fmt.Errorf("trim below %d: %w", before, err)
	}
	return before, nil
}
