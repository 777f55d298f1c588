package bus

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/reckon-project/reckon/events"
)

// AppendBatch uses JetStream's atomic batches: all messages but the last go
// out unanswered, the last one commits.
func (l *natsLog) AppendBatch(ctx context.Context, batch []Entry) ([]uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, nil
	}
	if len(batch) > MaxBatch {
		return nil, fmt.Errorf("%w: a batch of %d events, at most %d go together", events.ErrInvalid, len(batch), MaxBatch)
	}
	for _, e := range batch {
		if err := CheckEntry(e); err != nil {
			return nil, err
		}
	}
	if l.c.restricted() {
		return nil, fmt.Errorf("append a batch: %w", &Denied{Operation: "publish", Subject: batch[0].Event.Subject()})
	}
	if len(batch) == 1 {
		seq, err := l.Append(ctx, batch[0])
		return []uint64{seq}, err
	}
	if err := l.full(); err != nil {
		return nil, fmt.Errorf("append a batch of %d events: not stored: %w", len(batch), err)
	}
	id := nuid.Next()
	headers := make([]nats.Header, len(batch))
	for i, e := range batch {
		headers[i] = header(e)
		headers[i]["Nats-Batch-Id"] = []string{id}
		headers[i]["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
	}
	last := len(batch) - 1
	headers[last]["Nats-Batch-Commit"] = []string{"1"}
	for i, e := range batch[:last] {
		if err := l.c.nc.PublishMsg(&nats.Msg{Subject: e.Event.Subject(), Header: headers[i], Data: e.Event.Data}); err != nil {
			return nil, fmt.Errorf("append a batch of %d events: %w: not stored: %w", len(batch), events.ErrUnavailable, err)
		}
	}
	p, complete := NewPending()
	l.c.acks.publish(&inflight{
		log: l, entry: batch[last], batch: batch, subject: batch[last].Event.Subject(),
		header: headers[last], data: batch[last].Event.Data, complete: complete,
	})
	seq, err := p.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("append a batch: %w", err)
	}
	seqs := make([]uint64, len(batch))
	for i := range seqs {
		seqs[i] = seq - uint64(last-i)
	}
	return seqs, nil
}
