package bus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

const (
	headerExpect = "Nats-Expected-Last-Subject-Sequence"
	headerTTL    = "Nats-TTL"
)

// natsLog is a Log on one JetStream stream.
//
//	Start ─► publish (own expectation) ─► ack ─► Durability.Await ─► Pending
//	             │                         │
//	             └── no ack, connection lost: outcome.go looks the event up
type natsLog struct {
	c      *connection
	stream string
}

func (l *natsLog) Append(ctx context.Context, e Entry) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	p := l.Start(e)
	seq, err := p.Wait(ctx)
	select {
	case <-p.Done():
	default:
		err = fmt.Errorf("append to %s: %w: the outcome could not be learnt in time: %w", e.Event.Subject(), events.ErrUnavailable, err)
	}
	return seq, err
}

func (l *natsLog) Start(e Entry) *Pending {
	p, complete := NewPending()
	l.start(e, complete)
	return p
}

func (l *natsLog) start(e Entry, complete func(uint64, error)) {
	if err := CheckEntry(e); err != nil {
		complete(0, err)
		return
	}
	if err := l.full(); err != nil {
		complete(0, fmt.Errorf("append to %s: %w: %w", e.Event.Subject(), errFull, err))
		return
	}
	l.c.acks.publish(&inflight{
		log: l, entry: e, subject: e.Event.Subject(), header: header(e), data: e.Event.Data, complete: complete,
	})
}

// full says why nothing can be stored for now, where that is known beforehand.
func (l *natsLog) full() error {
	if local, ok := l.c.durability.(Local); ok {
		return local.Full()
	}
	return nil
}

// header is the entry's message header. A deletion in VOLATILE expires as well.
func header(e Entry) nats.Header {
	h := nats.Header(e.Event.Header())
	if e.Expect != nil {
		h[headerExpect] = []string{strconv.FormatUint(*e.Expect, 10)}
	}
	ttl := e.TTL
	if ttl == 0 && e.Event.Prefix == events.PrefixVolatile && e.Event.Type == events.Deleted {
		ttl = tombstoneTTL
	}
	if ttl > 0 {
		h[headerTTL] = []string{formatTTL(ttl)}
	}
	return h
}

// formatTTL rounds up to whole seconds, JetStream's unit.
func formatTTL(ttl time.Duration) string {
	return strconv.FormatInt(int64((ttl+time.Second-1)/time.Second), 10)
}
