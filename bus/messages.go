package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

func (c *connection) Publish(subject string, data []byte) error {
	if err := c.nc.Publish(subject, data); err != nil {
		return unavailable("publish to "+subject, err)
	}
	return nil
}

func (c *connection) Subscribe(ctx context.Context, subject string, f func(Message)) error {
	return c.subscribe(ctx, subject, "", func(m *nats.Msg) {
		f(Message{Subject: m.Subject, Header: events.Header(m.Header), Data: m.Data})
	})
}

// subscribe returns once the server has the subscription or refused it.
func (c *connection) subscribe(ctx context.Context, subject, queue string, f nats.MsgHandler) error {
	gctx, done := c.guard(ctx, func(s string) bool { return s == subject })
	defer done()
	sub, err := c.nc.QueueSubscribe(subject, queue, f)
	if err != nil {
		return unavailable("subscribe to "+subject, err)
	}
	if err := c.flush(gctx, c.nc); err != nil || gctx.Err() != nil {
		sub.Unsubscribe() //nolint:errcheck // it was refused or the connection is gone
		return unavailable("subscribe to "+subject, cause(gctx, err))
	}
	context.AfterFunc(ctx, func() { sub.Unsubscribe() }) //nolint:errcheck // gone with the connection otherwise
	return nil
}

func (c *connection) Request(ctx context.Context, subject string, header events.Header, data []byte) (Message, error) {
	gctx, done := c.guard(ctx, func(s string) bool { return s == subject })
	defer done()
	m, err := c.nc.RequestMsgWithContext(gctx, &nats.Msg{Subject: subject, Header: nats.Header(header), Data: data})
	if errors.Is(err, nats.ErrNoResponders) {
		return Message{}, fmt.Errorf("request %s: nobody answers: %w", subject, events.ErrUnavailable)
	}
	if err != nil {
		return Message{}, unavailable("request "+subject, cause(gctx, err))
	}
	if text := m.Header.Get(errorHeader); text != "" {
		return Message{}, fmt.Errorf("request %s: %w: %s", subject, events.ErrUnavailable, text)
	}
	return Message{Subject: m.Subject, Header: events.Header(m.Header), Data: m.Data}, nil
}

// errorHeader carries the text of a handler's error to who asked.
const errorHeader = "Reckon-Error"

func (c *connection) Serve(ctx context.Context, subject string, f func(context.Context, Message) (Message, error)) error {
	return c.subscribe(ctx, subject, "serve", func(m *nats.Msg) {
		c.task(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(c.ctx, cancel)()
			answer, err := f(ctx, Message{Subject: m.Subject, Header: events.Header(m.Header), Data: m.Data})
			reply := &nats.Msg{Subject: m.Reply, Header: nats.Header(answer.Header), Data: answer.Data}
			if err != nil {
				reply = &nats.Msg{Subject: m.Reply, Header: nats.Header{errorHeader: {err.Error()}}}
			}
			// A reply goes to an inbox and nowhere else: whoever asks chooses the
			// subject, and must not make us publish where only we may.
			if strings.HasPrefix(m.Reply, inboxPrefix) {
				c.nc.PublishMsg(reply) //nolint:errcheck // who asked times out
			}
		})
	})
}
