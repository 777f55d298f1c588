package projections

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

const checkpointPrefix = "checkpoint/"

// checkpointName sorts as its position does.
func checkpointName(position uint64) string {
	return fmt.Sprintf("%s%020d", checkpointPrefix, position)
}

// WriteCheckpoint stores a snapshot, compressed and with a checksum, as the
// checkpoint of its position.
func WriteCheckpoint(ctx context.Context, s *Snapshot, blobs bus.Blobs) error {
	return writeCheckpoint(ctx, s, blobs, nil)
}

// WriteSignedCheckpoint is WriteCheckpoint with the signature of a cluster's key.
func WriteSignedCheckpoint(ctx context.Context, s *Snapshot, blobs bus.Blobs, key ed25519.PrivateKey) error {
	return writeCheckpoint(ctx, s, blobs, key)
}

func writeCheckpoint(ctx context.Context, s *Snapshot, blobs bus.Blobs, key ed25519.PrivateKey) error {
	r, w := io.Pipe()
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true))
	if err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", s.Position(), err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(errors.Join(s.writeSealed(compressed, key), compressed.Close())) // nil: the end
	}()
	err = blobs.Put(ctx, checkpointName(s.Position()), r)
	r.CloseWithError(io.ErrClosedPipe) // a Put that failed reads no more: let Encode end
	<-done
	if err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", s.Position(), err)
	}
	return nil
}

// ReadCheckpoint reads the checkpoint of a position. One that is damaged, or
// not of that position, is an error of class events.ErrInvalid.
func ReadCheckpoint(ctx context.Context, position uint64, blobs bus.Blobs) (*Snapshot, error) {
	return readCheckpoint(ctx, position, blobs, nil)
}

// readCheckpoint is ReadCheckpoint for a state that shares with present, if
// there is one, the objects that are the same: they aren't even decoded.
func readCheckpoint(ctx context.Context, position uint64, blobs bus.Blobs, present *Snapshot) (*Snapshot, error) {
	blob, err := blobs.Get(ctx, checkpointName(position))
	if err != nil {
		return nil, fmt.Errorf("read checkpoint at %d: %w", position, err)
	}
	defer blob.Close()
	r, err := zstd.NewReader(blob)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint at %d: %w: %v", position, events.ErrInvalid, err)
	}
	defer r.Close()
	d := &decoder{r: bufio.NewReaderSize(r, 1<<16), present: present}
	s, err := d.snapshot(ctx)
	if err == nil {
		_, err = readSeal(d.r)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, d.r) // to the end, where the checksum is
	}
	if err == nil && s.Position() != position {
		err = fmt.Errorf("%w: it holds the state at %d", events.ErrInvalid, s.Position())
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint at %d: %w", position, err)
	}
	return s, nil
}

// checkpointPositions lists the checkpoints' positions, lowest first.
func checkpointPositions(ctx context.Context, blobs bus.Blobs) ([]uint64, error) {
	names, err := blobs.List(ctx, checkpointPrefix)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var out []uint64
	for _, name := range names { // their order is that of the positions
		position, err := strconv.ParseUint(strings.TrimPrefix(name, checkpointPrefix), 10, 64)
		if err != nil || checkpointName(position) != name {
			continue // not one of ours
		}
		out = append(out, position)
	}
	return out, nil
}

// Restore makes the newest readable checkpoint the state that Run goes on from;
// without any, Run begins at the beginning. It is called before Run.
//
// A damaged checkpoint is passed over for the next older one, and logged. One
// beyond the log's end or of another log is an error of class events.ErrInvalid:
// the log lost events, or log and checkpoints don't belong together.
func (p *Projection) Restore(ctx context.Context, blobs bus.Blobs) error {
	first, last, err := p.log.Range(ctx)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	stored, err := checkpointPositions(ctx, blobs)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	for i := len(stored) - 1; i >= 0; i-- {
		position := stored[i]
		if position > last {
			return fmt.Errorf("restore: %w: there is a checkpoint at %d, but the log ends at %d: it lost events, or it is another log; put the right log in place or delete the checkpoints beyond its end", events.ErrInvalid, position, last)
		}
		if position+1 < first {
			break
		}
		s, err := ReadCheckpoint(ctx, position, blobs)
		if ctx.Err() != nil {
			return fmt.Errorf("restore: %w", ctx.Err())
		}
		if err != nil {
			p.logger.Warn("a checkpoint can't be read, trying an older one", "position", position, "error", err)
			if errors.Is(err, events.ErrInvalid) {
				p.damaged = append(p.damaged, position)
			}
			continue
		}
		if err := p.sameLog(ctx, s, first); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		p.begin(s)
		return nil
	}
	if first > 1 {
		return fmt.Errorf("restore: the log begins at %d and no readable checkpoint reaches back to it: %w", first, events.ErrGone)
	}
	return nil
}

// sameLog checks that the event a snapshot ends with is the log's at that
// position. At the edge of a trimmed log it is no longer there.
func (p *Projection) sameLog(ctx context.Context, s *Snapshot, first uint64) error {
	if s.Position() < first {
		return nil
	}
	e, err := p.eventAt(ctx, s.Position())
	if err != nil {
		return err
	}
	if e == nil || e.Sequence != s.Position() || e.ID != s.s.last {
		return fmt.Errorf("%w: the checkpoint at %d was made from another log (its last event is %s); put the right checkpoints in place or delete them", events.ErrInvalid, s.Position(), s.s.last)
	}
	return nil
}
