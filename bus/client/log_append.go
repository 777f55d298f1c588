package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Append reports a fact. It returns once the fact is durable and folded; one
// without effect is an error of class events.ErrVoid, with its sequence.
func (l *Log) Append(ctx context.Context, e bus.Entry) (uint64, error) {
	if e.Event.Prefix != events.PrefixFact || e.Expect != nil {
		return 0, fmt.Errorf("append to %s: %w: a custom controller appends facts only; the API takes its decisions", e.Event.Subject(), events.ErrInvalid)
	}
	subject := strings.TrimPrefix(e.Event.Key.Subject(), events.PrefixDecision+".")
	m, err := l.c.Request(ctx, Subject(l.c.identity, "fact."+subject), e.Event.Header(), e.Event.Data)
	if err != nil {
		return 0, fmt.Errorf("report on %s: %w", e.Event.Key, err)
	}
	var stored Stored
	if err := json.Unmarshal(m.Data, &stored); err != nil {
		return 0, fmt.Errorf("report on %s: %w: %w", e.Event.Key, events.ErrUnavailable, err)
	}
	switch {
	case stored.Error != nil:
		return 0, fmt.Errorf("report on %s: %w", e.Event.Key, stored.Error)
	case stored.Void:
		return stored.Sequence, fmt.Errorf("report on %s: %w: the object is gone or another one, or a newer report was first", e.Event.Key, events.ErrVoid)
	}
	return stored.Sequence, nil
}

// Start is Append beside the caller: one after the other, in the order that they
// were started in. Close ends those under way.
func (l *Log) Start(e bus.Entry) *bus.Pending {
	p, complete := bus.NewPending()
	run := l.c.started.begin(func(ctx context.Context) { complete(l.Append(ctx, e)) })
	if !run {
		complete(0, fmt.Errorf("report on %s: %w: not stored: the client is closed", e.Event.Key, events.ErrUnavailable))
	}
	return p
}

// AppendBatch is not open to a custom controller.
func (l *Log) AppendBatch(context.Context, []bus.Entry) ([]uint64, error) { return nil, errNotOpen }

// Get is not open to a custom controller.
func (l *Log) Get(context.Context, uint64) (*events.Event, error) { return nil, errNotOpen }

// Last is not open to a custom controller.
func (l *Log) Last(context.Context, string) (*events.Event, error) { return nil, errNotOpen }

// Trim is not open to a custom controller.
func (l *Log) Trim(context.Context, uint64) error { return errNotOpen }
