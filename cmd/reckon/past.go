package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

// withPast folds the log of the cluster in the data folder in this process, from
// its newest checkpoint on, and hands the projection to f.
func withPast(cmd *cobra.Command, f func(ctx context.Context, b bus.Bus, p *projections.Projection) error) error {
	b, err := connect(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	p := projections.New(b.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), ReadOnly: true}))
	if err := p.Restore(cmd.Context(), b.Blobs()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	folded := make(chan struct{})
	go func() {
		defer close(folded)
		cancel(p.Run(ctx))
	}()
	err = f(ctx, b, p)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		err = cause // folding stopped, and why
	}
	cancel(nil)
	<-folded
	return err
}

// moments resolves two moments to positions, in order.
func moments(ctx context.Context, log bus.Log, from, to string, now time.Time) (a, b uint64, err error) {
	begin, err := history.ParseMoment(from, now)
	if err != nil {
		return 0, 0, err
	}
	end, err := history.ParseMoment(to, now)
	if err != nil {
		return 0, 0, err
	}
	if a, err = begin.Beginning(ctx, log); err != nil {
		return 0, 0, err
	}
	if b, err = end.Position(ctx, log); err != nil {
		return 0, 0, err
	}
	if a > b {
		return 0, 0, fmt.Errorf("%s is after %s", from, to)
	}
	return a, b, nil
}
