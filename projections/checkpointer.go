package projections

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
)

// lastCheckpoint is how long the checkpoint at a clean stop may take.
const lastCheckpoint = 30 * time.Second

// Checkpoints of the newest dense×Every events are kept about Every events
// apart, older ones thin×Every: the state anywhere in 1,500,000 events is one
// checkpoint and at most 100,000 events, and before that at most 850,000.
const (
	dense = 30
	thin  = 8
)

// Checkpoints says where a projection's checkpoints are, and when to write them.
type Checkpoints struct {
	Blobs bus.Blobs
	Every uint64 // events between two (default 50,000)
	Keep  int    // newest ones kept whatever lies between them (default 3)
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
		p.mend(ctx)
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
	if err := writeCheckpoint(ctx, s, p.checkpoints.Blobs, p.signer); err != nil {
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
	bases := bases(stored, p.Snapshot().First())
	for _, position := range superfluous(stored, first, p.checkpoints.every(), p.checkpoints.Keep) {
		if slices.Contains(bases, position) {
			continue
		}
		if err := p.checkpoints.Blobs.Delete(ctx, checkpointName(position)); err != nil {
			return fmt.Errorf("delete checkpoint at %d: %w", position, err)
		}
	}
	return nil
}

// superfluous says which checkpoints to delete: all that end before the log
// begins; and of those between the first two and the newest keep ones all but
// the first in each stretch of positions, of every/2 or, further back than
// dense×every, of thin×every.
func superfluous(stored []uint64, first, every uint64, keep int) []uint64 {
	if keep <= 0 {
		keep = 3
	}
	base, _ := slices.BinarySearch(stored, max(first, 1)-1)
	out := slices.Clone(stored[:base])
	usable := stored[base:]
	type stretch struct{ size, at uint64 }
	var last stretch
	for i, position := range usable {
		in := stretch{size: max(every/2, 1)}
		if usable[len(usable)-1]-position > dense*every {
			in.size = thin * every
		}
		in.at = position / in.size
		if i >= 2 && i < len(usable)-keep && in == last {
			out = append(out, position)
		}
		last = in
	}
	return out
}
