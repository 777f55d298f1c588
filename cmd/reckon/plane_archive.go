package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
	"github.com/spf13/cobra"
)

// retention says how much of the log is kept where.
type retention struct {
	window time.Duration // of the hot window in the stream
	events uint64        // in it, about; more are there until a checkpoint was written
	keep   time.Duration // of the history; 0: for ever
}

// retentionFlags adds the settings of the hot window and the archive.
func (o *planeOptions) retentionFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&o.window, "log-window", 24*time.Hour, "older events leave the log's stream for the compressed archive")
	f.Uint64Var(&o.windowEvents, "log-events", 200_000, "events from which the oldest leave the log's stream for the archive (memory grows with what is in the stream)")
	f.StringVar(&o.archive, "archive", "", "folder of the archive (default: the bus's own object store); it stays the archive from then on")
}

// retention is what the settings say. What is forgotten needn't be archived first.
func (o *planeOptions) retention(keep time.Duration) (retention, error) {
	if o.window <= 0 || o.windowEvents == 0 {
		return retention{}, fmt.Errorf("--log-window %s and --log-events %d must be above 0", o.window, o.windowEvents)
	}
	return retention{window: o.window, events: o.windowEvents, keep: keep}, nil
}

// archiveFile names the file that says where the archive is, if it isn't in the
// bus's object store.
func (f folder) archiveFile() string { return f.path("archive") }

// setArchive makes dir the archive; a cluster has one for good.
func (f folder) setArchive(dir string) error {
	if dir == "" {
		return nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	had, err := os.ReadFile(f.archiveFile())
	switch {
	case err == nil && strings.TrimSpace(string(had)) == dir:
		return nil
	case err == nil:
		return fmt.Errorf("the archive of %s is in %s: move that folder to %s and write its name into %s, then start again", f, strings.TrimSpace(string(had)), dir, f.archiveFile())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return os.WriteFile(f.archiveFile(), []byte(dir+"\n"), 0o644)
}

// withArchive gives b with a log that reads the archive, too.
func (f folder) withArchive(b bus.Bus) (*archive.Bus, error) {
	dir, err := os.ReadFile(f.archiveFile())
	if errors.Is(err, fs.ErrNotExist) {
		return archive.Wrap(b, nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the archive: %w", err)
	}
	return archive.Wrap(b, archive.Folder(strings.TrimSpace(string(dir)))), nil
}

// connect connects to the bus; its log reaches back into the archive.
func (p *plane) connect() error {
	if err := p.options.folder.setArchive(p.options.archive); err != nil {
		return err
	}
	b, err := p.server.Connect("component:plane")
	if err != nil {
		return err
	}
	whole, err := p.options.folder.withArchive(b)
	if err != nil {
		return errors.Join(err, b.Close())
	}
	p.bus, p.archive = whole, whole.Archived()
	return nil
}

// ageEvery is how often the age of the log's events is looked at.
const ageEvery = time.Hour

// every is how many events lie between two checkpoints: the window begins with
// one, so that a small window needs them closer together.
func (r retention) every() uint64 { return min(max(r.events/4, 100), 50_000) }

func (o *planeOptions) checkpointEvery() uint64 { return retention{events: o.windowEvents}.every() }

// retain moves what leaves the hot window into the archive, and lets go of what
// is older than the history to keep, until ctx ends. What can't be done yet,
// because two checkpoints don't cover it, waits.
func (p *plane) retain(ctx context.Context, r retention) error {
	for aged := (time.Time{}); ctx.Err() == nil; {
		now := time.Now()
		byAge := now.Sub(aged) >= ageEvery
		if byAge {
			aged = now
		}
		if err := p.retainOnce(ctx, r, now, byAge); err != nil && ctx.Err() == nil && !errors.Is(err, events.ErrUnavailable) {
			slog.Warn("history can't be archived or let go of", "error", err)
		}
		// Again when there are so many events more that a Move is worth it.
		next := max(p.log.Snapshot().First()+r.events, p.log.Snapshot().Position()) + r.every()/2
		waiting, enough := context.WithDeadline(ctx, aged.Add(ageEvery))
		err := p.log.WaitFor(waiting, next)
		enough()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err // ctx ended, or folding did
		}
	}
	return ctx.Err()
}

func (p *plane) retainOnce(ctx context.Context, r retention, now time.Time, byAge bool) error {
	first, last, err := p.archive.Stream().Range(ctx)
	if err != nil {
		return err
	}
	leave := last - min(last, r.events)
	if byAge {
		if r.keep > 0 {
			err = p.letGo(ctx, now.Add(-r.keep))
		}
		old, ageErr := p.older(ctx, now.Add(-r.window))
		leave, err = max(leave, old), errors.Join(err, ageErr)
	}
	if leave < first {
		return err
	}
	_, moveErr := p.log.Move(ctx, leave, "plane")
	return errors.Join(err, moveErr)
}

// letGo removes the history before a time, as far as a checkpoint allows.
func (p *plane) letGo(ctx context.Context, before time.Time) error {
	position, err := p.older(ctx, before)
	if err != nil || position == 0 {
		return err
	}
	_, err = p.log.Trim(ctx, position, "plane")
	return err
}

// older is the position that the log had at a time, 0 if it begins later.
func (p *plane) older(ctx context.Context, t time.Time) (uint64, error) {
	position, err := p.log.PositionAt(ctx, t)
	if errors.Is(err, events.ErrGone) {
		d := (*archive.Damaged)(nil)
		if errors.As(err, &d) {
			return 0, err
		}
		return 0, nil
	}
	return position, err
}
