package bus

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"iter"
	"net"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
)

// A restricted identity reads through the server, not through JetStream's API:
// whoever may create a consumer may have it deliver to any subject, and so
// publish where only others may. The server that embeds NATS listens on
// read.<identity>.conn for watches of the feed and answers on
// read.<identity>.get.<stream> to questions about single messages.

// ReadSubject is where identity reads what: "conn" or "get.<stream>".
func ReadSubject(identity, what string) string {
	return "read." + events.EncodeToken(identity) + "." + what
}

// WatchRequest is the first line, in JSON, on a tunnel to ReadSubject(…, "conn").
// The answer is a stream of gob-encoded FeedFrames.
type WatchRequest struct {
	Filters []string `json:"filters"`
}

// MessageQuery asks for one message of a stream, as JetStream's API does.
type MessageQuery struct {
	Sequence      uint64 `json:"seq,omitempty"`
	NextBySubject string `json:"next_by_subj,omitempty"`
	LastBySubject string `json:"last_by_subj,omitempty"`
}

// restricted reports whether the identity has no access to JetStream's API.
func (c *connection) restricted() bool {
	return strings.HasPrefix(c.identity, "node:") || c.apiOnly()
}

// apiOnly reports whether the identity may speak to the gateway only (package
// bus/client): it has no feed, and appends nothing itself.
func (c *connection) apiOnly() bool {
	return strings.HasPrefix(c.identity, "user:") || strings.HasPrefix(c.identity, "controller:")
}

// watchThroughServer is Feed.Watch for restricted identities.
func (f *natsFeed) watchThroughServer(ctx context.Context, filters []string) iter.Seq2[FeedItem, error] {
	return func(yield func(FeedItem, error) bool) {
		for {
			err := f.watchOnce(ctx, filters, yield)
			if err == nil {
				return // the consumer of the iterator has enough
			}
			var denied *Denied
			switch {
			case ctx.Err() != nil:
				err = ctx.Err()
			case f.c.ctx.Err() != nil:
				err = unavailable("watch the feed", net.ErrClosed)
			case errors.As(err, &denied), errors.Is(err, events.ErrInvalid):
			default:
				select {
				case <-time.After(250 * time.Millisecond):
					continue
				case <-ctx.Done():
					err = ctx.Err()
				}
			}
			yield(FeedItem{}, err)
			return
		}
	}
}

func (f *natsFeed) watchOnce(ctx context.Context, filters []string, yield func(FeedItem, error) bool) error {
	dctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	conn, err := f.c.Dial(dctx, ReadSubject(f.c.identity, "conn"))
	cancel()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(WatchRequest{filters}); err != nil {
		return err
	}
	items := gob.NewDecoder(conn)
	for {
		var frame FeedFrame
		if err := items.Decode(&frame); err != nil {
			return err
		}
		if frame.Refused != "" {
			return &Denied{Operation: "subscribe", Subject: frame.Refused}
		}
		item := FeedItem{Subject: frame.Subject, Header: frame.Header, Data: frame.Data}
		if len(item.Data) == 0 {
			item.Data = nil
		}
		if !yield(item, nil) {
			return nil
		}
	}
}

// FeedFrame is one item on such a tunnel, or the filter that was refused.
type FeedFrame struct {
	Subject string
	Header  events.Header
	Data    []byte
	Refused string
}
