package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Log is the part of the log that is about some resources. One reader follows
// it at a time.
type Log struct {
	c         *Client
	resources []Resource

	mu       sync.Mutex
	position uint64   // up to where it was read
	reach    uint64   // up to where somebody waits for it to be read
	conn     net.Conn // nil: there is none for now
}

// Reach asks that the position gets to a sequence soon, whatever that is about.
func (l *Log) Reach(sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequence <= max(l.reach, l.position) {
		return
	}
	l.reach = sequence
	l.askReach()
}

// askReach is called with l.mu held.
func (l *Log) askReach() {
	if l.conn != nil && l.reach > l.position {
		json.NewEncoder(l.conn).Encode(Reach{l.reach}) //nolint:errcheck // asked again on the next connection
	}
}

// Range gives the position that was read, as both ends: nothing before it is needed.
func (l *Log) Range(context.Context) (first, last uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position, l.position, nil
}

// Read yields the objects that there are, each as an event created at its version.
func (l *Log) Read(ctx context.Context, _ uint64, _ ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		err := l.retry(ctx, func() error {
			return l.session(ctx, 0, func(slice []*events.Event) bool {
				for _, e := range slice {
					if !yield(e, nil) {
						break
					}
				}
				return false
			})
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// Follow yields what follows from on; 0 and 1 stand for the objects that there are.
func (l *Log) Follow(ctx context.Context, from uint64, _ ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		l.mu.Lock()
		l.position = max(from, 1) - 1
		l.mu.Unlock()
		err := l.retry(ctx, func() error {
			_, after, _ := l.Range(ctx) //nolint:errcheck // never fails
			return l.session(ctx, after, func(slice []*events.Event) bool { return yield(slice, nil) })
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 5 * time.Second
)

// retry calls f until it returns nil, ctx ends, or what it wants is gone.
func (l *Log) retry(ctx context.Context, f func() error) error {
	wait, said := retryFirst, ""
	for {
		_, before, _ := l.Range(ctx) //nolint:errcheck // never fails
		err := f()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, events.ErrGone):
			return err
		}
		if _, after, _ := l.Range(ctx); after > before { //nolint:errcheck // never fails
			wait = retryFirst
		}
		if text := err.Error(); text != said {
			said = text
			l.c.logger.Warn("the log can't be followed for now", "identity", l.c.identity, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryLast)
	}
}

// session reads over one connection, until yield has enough (nil).
func (l *Log) session(ctx context.Context, after uint64, yield func([]*events.Event) bool) error {
	dctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	conn, err := l.c.Dial(dctx, Subject(l.c.identity, "follow"))
	cancel()
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(LogRequest{Resources: l.resources, After: after}); err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	l.mu.Lock()
	l.conn = conn
	l.askReach()
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.conn = nil
		l.mu.Unlock()
	}()
	in := json.NewDecoder(bufio.NewReaderSize(conn, 64<<10))
	var objects []*events.Event
	for {
		var b LogBatch
		if err := in.Decode(&b); err != nil {
			return fmt.Errorf("follow the log: %w: %w", events.ErrUnavailable, err)
		}
		if b.Error != nil {
			return fmt.Errorf("follow the log: %w", b.Error)
		}
		for _, o := range b.Objects {
			e, err := o.created()
			if err != nil {
				return fmt.Errorf("follow the log: %w", err)
			}
			objects = append(objects, e)
		}
		if b.Position == 0 {
			continue
		}
		slice, err := b.slice(objects)
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		objects = nil
		l.mu.Lock()
		l.position = max(l.position, b.Position)
		l.mu.Unlock()
		if len(slice) > 0 && !yield(slice) {
			return nil
		}
	}
}

// slice is what a batch says, after objects that came before it, as events in
// order. It ends at the batch's position.
func (b *LogBatch) slice(objects []*events.Event) ([]*events.Event, error) {
	slices.SortFunc(objects, func(a, b *events.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
	slice := objects
	for _, wire := range b.Events {
		e, err := wire.event()
		if err != nil {
			return nil, err
		}
		slice = append(slice, e)
	}
	if len(slice) == 0 || slice[len(slice)-1].Sequence < b.Position {
		slice = append(slice, passed(b.Position))
	}
	return slice, nil
}

// created is the event that gives the object at its version to a fold.
func (o Object) created() (*events.Event, error) {
	var head struct {
		Metadata struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(o.Value, &head); err != nil {
		return nil, err
	}
	return &events.Event{
		Sequence: o.Version, Prefix: events.PrefixDecision,
		Key: events.Key{Group: o.Group, Resource: o.Name, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name},
		ID:  bus.NewID(), Source: "bus", Type: events.Created, ContentType: events.ContentObject, Data: o.Value,
	}, nil
}

// passed stands for the events of others up to a position: a fact about nothing,
// which moves a fold's position and is void.
func passed(position uint64) *events.Event {
	return &events.Event{
		Sequence: position, Prefix: events.PrefixFact, Reporter: "bus",
		Key: events.Key{Group: "reckon.dev", Resource: "positions", Name: "passed"},
		ID:  bus.NewID(), Source: "bus", Type: events.Reported, ContentType: events.ContentPatch, Data: []byte("{}"),
	}
}
