package nodefeed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Component is the name of the publisher's leadership.
const Component = "nodefeed"

// Options are what the feed is made with.
type Options struct {
	Bus        bus.Bus
	Projection *projections.Projection
	Holder     string
	// Open gives a secret with its values in the clear (nil: they are).
	Open   func(*corev1.Secret) (*corev1.Secret, error)
	Lazy   time.Duration // how late what can wait is published; 0: 10 s
	Logger *slog.Logger
}

// Run publishes the feed whenever this process leads, until ctx ends (nil) or the
// projection stops (its error).
func Run(ctx context.Context, o Options) error {
	if o.Lazy == 0 {
		o.Lazy = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for ctx.Err() == nil {
		lead, err := o.Bus.Lead(ctx, Component, o.Holder)
		if err == nil {
			err = publish(lead, o)
			lead.Release()
			if err != nil && lead.Context.Err() == nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			break
		}
		o.Logger.Warn("can't get the leadership", "component", Component, "error", err)
		retry := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
		retry.Stop()
	}
	return nil
}

// publish keeps the feed for one leadership.
func publish(lead bus.Leadership, o Options) error {
	ctx, cancel := context.WithCancel(lead.Context)
	defer cancel()
	if err := o.Projection.WaitFor(ctx, lead.Epoch); err != nil {
		return fmt.Errorf("fold the leadership of %s: %w", Component, err)
	}
	out := newWriter(ctx, o, lead.Epoch)
	defer out.close()
	defer cancel()
	t := newTables(out)
	s := o.Projection.Snapshot()
	t.all(s)
	t.manifests(s)
	stale := make(chan bus.FeedItem)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { overwritten(ctx, o, lead.Epoch, stale) })
	for {
		changes := make(chan []projections.Change)
		failed := make(chan error, 1)
		reading, stop := context.WithCancel(ctx)
		go func() { failed <- read(reading, o.Projection, s.Position(), changes) }()
		err := t.follow(o, changes, stale, failed)
		stop()
		if !errors.Is(err, events.ErrGone) {
			return err
		}
		o.Logger.Warn("fell behind the log, looking at everything again", "component", Component, "error", err)
		s = o.Projection.Snapshot()
		t.all(s)
	}
}

// read hands on the changes until ctx ends or there are no more.
func read(ctx context.Context, p *projections.Projection, from uint64, to chan<- []projections.Change) error {
	for changes, err := range p.Changes(ctx, from) {
		if err != nil {
			return err
		}
		select {
		case to <- changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (t *tables) follow(o Options, changes <-chan []projections.Change, stale <-chan bus.FeedItem, failed <-chan error) error {
	lazy := time.NewTicker(o.Lazy)
	defer lazy.Stop()
	for {
		select {
		case c := <-changes:
			t.changed(o.Projection.Snapshot(), c)
		case item := <-stale:
			t.restore(o.Projection.Snapshot(), item)
		case <-lazy.C:
			s := o.Projection.Snapshot()
			t.restoreUnsure(s)
			t.late(s)
			t.manifests(s)
		case err := <-failed:
			return err
		}
	}
}
