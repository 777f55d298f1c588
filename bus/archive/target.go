package archive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// headerSequence says which sequence an event had in the log it comes from.
const headerSequence = "ce-sequence"

// targetPending is how many events may be on their way.
const targetPending = 1024

// Target is another bus that events are replayed onto. It is any NATS server
// with JetStream that has a stream for the subjects log.> and fact.>.
type Target struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	queue []jetstream.PubAckFuture
}

// TargetOptions say how to get in.
type TargetOptions struct {
	CredsFile      string // a .creds file
	User, Password string
	TLS            *tls.Config
}

// OpenTarget connects to another bus. An error of class events.ErrUnavailable
// says that it isn't there or doesn't let in.
func OpenTarget(url string, o TargetOptions) (*Target, error) {
	options := []nats.Option{nats.Name("reckon replay"), nats.MaxReconnects(2), nats.Timeout(5 * time.Second)}
	if o.CredsFile != "" {
		options = append(options, nats.UserCredentials(o.CredsFile))
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: %w", url, events.ErrUnavailable, err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(targetPending))
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Target{nc: nc, js: js}, nil
}

// Publish sends an event on its own subject, with its sequence and stored time
// as headers. It may return before the other bus has stored it.
func (t *Target) Publish(ctx context.Context, e *events.Event) error {
	header := nats.Header(e.Header())
	header[headerSequence] = []string{strconv.FormatUint(e.Sequence, 10)}
	header[bus.HeaderStored] = []string{e.Stored.UTC().Format(time.RFC3339Nano)}
	future, err := t.js.PublishMsgAsync(&nats.Msg{Subject: e.Subject(), Header: header, Data: e.Data})
	if err != nil {
		return fmt.Errorf("replay event %d: %w: %w", e.Sequence, events.ErrUnavailable, err)
	}
	t.queue = append(t.queue, future)
	return t.settle(ctx, targetPending-1)
}

// Flush waits until all that was published is stored.
func (t *Target) Flush(ctx context.Context) error { return t.settle(ctx, 0) }

func (t *Target) settle(ctx context.Context, keep int) error {
	for ; len(t.queue) > keep; t.queue = t.queue[1:] {
		future := t.queue[0]
		select {
		case <-future.Ok():
		case err := <-future.Err():
			subject := future.Msg().Subject
			if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
				return fmt.Errorf("replay onto %s: %w: no stream there takes %s: it needs one for the subjects log.> and fact.>", t.nc.ConnectedUrl(), events.ErrInvalid, subject)
			}
			return fmt.Errorf("replay onto %s: %w: %s: %w", t.nc.ConnectedUrl(), events.ErrUnavailable, subject, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends the connection.
func (t *Target) Close() { t.nc.Close() }
