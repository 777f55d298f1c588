package main

import (
	"context"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// fitStream makes the fork's stream begin where its state at position says that it does:
// what a decision must expect of its subject depends on that. first is where
// the copied log begins.
//
//	state's beginning │ older than the copy's          │ newer
//	so                │ an event says that it is newer │ what is before goes to the archive
func (k *fork) fitStream(ctx context.Context, b bus.Bus, first, position uint64) error {
	whole, err := k.to.withArchive(b)
	if err != nil {
		return err
	}
	s, err := foldTo(ctx, whole, position)
	if err != nil {
		return fmt.Errorf("fold the fork's log: %w", err)
	}
	begins := max(s.First(), 1)
	switch {
	case begins > first:
		if err := whole.Archived().Move(ctx, begins); err != nil {
			return fmt.Errorf("archive the history before %d: %w", begins, err)
		}
	case begins < first:
		expect := s.Decision(projections.LogKey)
		if expect < first {
			expect = 0
		}
		_, err := b.Log().Append(ctx, bus.Entry{Event: trimmedBefore(first), Expect: bus.Expect(expect)})
		if err != nil {
			return fmt.Errorf("say that the log begins at %d: %w", first, err)
		}
	}
	return nil
}

// foldTo is the state at position, the end of the log.
func foldTo(ctx context.Context, b bus.Bus, position uint64) (*projections.Snapshot, error) {
	p := projections.New(b.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), ReadOnly: true}))
	if err := p.Restore(ctx, b.Blobs()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	folded := make(chan error, 1)
	go func() { folded <- p.Run(ctx) }()
	err := p.WaitFor(ctx, position)
	s := p.Snapshot()
	cancel()
	<-folded //nolint:errcheck // it was stopped
	return s, err
}

// trimmedBefore says in a fork's log that it begins later than the log that it
// was made from did then.
func trimmedBefore(first uint64) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: projections.LogKey, ID: bus.NewID(), Source: "fork", Type: events.Trimmed, Time: time.Now(),
		Reason: "HistoryTrimmed", Note: fmt.Sprintf("the history before position %d was removed before the fork was made", first),
		ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"before":%d}`, first),
	}
}
