package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
	f.StringVar(&o.archive, "archive", "", "folder of the archive, or a bucket: s3://bucket/prefix?endpoint=https://host:9000&region=name, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment (default: the bus's own object store); it stays the archive from then on")
}

// retention is what the settings say. What is forgotten needn't be archived first.
func (o *planeOptions) retention(keep time.Duration) (retention, error) {
	if o.window <= 0 || o.windowEvents == 0 {
		return retention{}, fmt.Errorf("--log-window %s and --log-events %d must be above 0", o.window, o.windowEvents)
	}
	return retention{window: o.window, events: o.windowEvents, keep: keep}, nil
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

// An archive that doesn't answer, or took a segment not, is tried again after a
// pause that grows.
const (
	firstPause = 10 * time.Second
	maxPause   = 10 * time.Minute
)

// every is how many events lie between two checkpoints: the window begins with
// one, so that a small window needs them closer together.
func (r retention) every() uint64 { return min(max(r.events/4, 100), 50_000) }

func (o *planeOptions) checkpointEvery() uint64 { return retention{events: o.windowEvents}.every() }

// retain moves what leaves the hot window into the archive, and lets go of what
// is older than the history to keep, until ctx ends. What can't be done yet,
// because two checkpoints don't cover it, waits.
func (p *plane) retain(ctx context.Context, r retention) error {
	pause := firstPause
	for aged := (time.Time{}); ctx.Err() == nil; {
		now := time.Now()
		byAge := now.Sub(aged) >= ageEvery
		if byAge {
			aged = now
		}
		err := p.retainOnce(ctx, r, now, byAge)
		if text := archiveTrouble(err); text != "" && ctx.Err() == nil {
			slog.Warn(text, "again in", pause, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause, aged = min(2*pause, maxPause), time.Time{}
			continue
		}
		pause = firstPause
		if err != nil && ctx.Err() == nil && !errors.Is(err, events.ErrUnavailable) {
			slog.Warn("history can't be archived or let go of", "error", err)
		}
		// Again when there are so many events more that a Move is worth it.
		next := max(p.log.Snapshot().First()+r.events, p.log.Snapshot().Position()) + r.every()/2
		waiting, enough := context.WithDeadline(ctx, aged.Add(ageEvery))
		err = p.log.WaitFor(waiting, next)
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
	if err := p.archive.Ask(ctx); err != nil {
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

// archiveTrouble says what an error of the archive means; "" if it is none.
func archiveTrouble(err error) string {
	silent, refused := (*archive.Silent)(nil), (*archive.NotStored)(nil)
	switch {
	case errors.As(err, &refused):
		return "the archive didn't take events: nothing is removed from the log's stream, which grows meanwhile"
	case errors.As(err, &silent):
		return "the archive doesn't answer: what isn't in the log's stream any more can't be read"
	}
	return ""
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
