package projections

import (
	"context"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"golang.org/x/sync/errgroup"
)

// digested is a run of events and their digests.
type digested struct {
	events  []*events.Event
	digests []events.Digest
}

const verifyRun = 256

// readDigested reads the log from from up to to, and hashes it beside the fold.
func readDigested(ctx context.Context, group *errgroup.Group, log bus.Log, from, to uint64) <-chan digested {
	read, hashed := make(chan []*events.Event, 4), make(chan digested, 4)
	group.Go(func() error {
		defer close(read)
		run := make([]*events.Event, 0, verifyRun)
		send := func() error {
			select {
			case read <- run:
				run = make([]*events.Event, 0, verifyRun)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for e, err := range log.Read(ctx, from) {
			if err != nil {
				return err
			}
			if e.Sequence > to {
				break
			}
			if run = append(run, e); len(run) == verifyRun {
				if err := send(); err != nil {
					return err
				}
			}
		}
		return send()
	})
	group.Go(func() error {
		defer close(hashed)
		for run := range read {
			d := digested{run, make([]events.Digest, len(run))}
			for i, e := range run {
				d.digests[i] = e.Digest()
			}
			select {
			case hashed <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return hashed
}
