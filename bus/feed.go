package bus

import (
	"context"
	"iter"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
)

type natsFeed struct{ c *connection }

func (f *natsFeed) Put(ctx context.Context, subject string, header events.Header, data []byte) error {
	m := &nats.Msg{Subject: subject, Header: nats.Header(header), Data: data}
	if len(data) == 0 {
		h := nats.Header(maps.Clone(header))
		if h == nil {
			h = nats.Header{}
		}
		h[headerTTL] = []string{formatTTL(tombstoneTTL)}
		m.Header = h
	}
	gctx, done := f.c.guard(ctx, func(s string) bool { return s == subject })
	defer done()
	if _, err := f.c.js.PublishMsg(gctx, m); err != nil {
		return unavailable("put "+subject, cause(gctx, err))
	}
	return nil
}

func (f *natsFeed) Watch(ctx context.Context, filters ...string) iter.Seq2[FeedItem, error] {
	if f.c.restricted() {
		return f.watchThroughServer(ctx, filters)
	}
	return func(yield func(FeedItem, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		gctx, done := f.c.guardAPI(ctx, StreamFeed)
		defer done()
		if len(filters) == 0 {
			filters = []string{"feed.>"}
		}
		consumer, err := f.c.js.OrderedConsumer(gctx, StreamFeed, jetstream.OrderedConsumerConfig{
			FilterSubjects: filters, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		})
		if err != nil {
			yield(FeedItem{}, unavailable("watch the feed", cause(gctx, err)))
			return
		}
		items := make(chan FeedItem, 256)
		stop, err := consumer.Consume(func(m jetstream.Msg) {
			item := FeedItem{Subject: m.Subject(), Header: events.Header(m.Headers()), Data: m.Data()}
			if len(item.Data) == 0 {
				item.Data = nil
			}
			select {
			case items <- item:
			case <-ctx.Done():
			}
		})
		if err != nil {
			yield(FeedItem{}, unavailable("watch the feed", cause(gctx, err)))
			return
		}
		defer func() {
			cancel()
			stop.Stop()
			<-stop.Closed()
		}()
		for {
			select {
			case <-ctx.Done():
				yield(FeedItem{}, ctx.Err())
				return
			case <-f.c.ctx.Done():
				yield(FeedItem{}, unavailable("watch the feed", nats.ErrConnectionClosed))
				return
			case item := <-items:
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}
