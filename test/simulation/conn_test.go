package simulation

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

var background = context.Background()

// conn is one component's connection to the network: a bus.Bus.
type conn struct {
	*network
	name string

	lastStart time.Time // when the newest of its appends by Start is due
	lastPut   time.Time
	puts      []bus.FeedItem // of this instant
	reports   []report       // of this instant
	cut       bool           // an outage: everything fails
	dead      bool           // its process was killed
}

func (n *network) connect(name string) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &conn{network: n, name: name}
	n.conns = slices.DeleteFunc(n.conns, func(o *conn) bool { return o.name == name })
	n.conns = append(n.conns, c)
	slices.SortFunc(n.conns, func(a, b *conn) int { return cmpNames(a.name, b.name) })
	return c
}

func (c *conn) Log() bus.Log      { return &connLog{c} }
func (c *conn) Volatile() bus.Log { return c.memory.Volatile() }
func (c *conn) Feed() bus.Feed    { return &connFeed{c} }
func (c *conn) Blobs() bus.Blobs  { return c.memory.Blobs() }
func (c *conn) Close() error      { return nil }

// Publish is at most once: a message may be lost.
func (c *conn) Publish(subject string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.cut {
		return fmt.Errorf("publish %s: %w", subject, events.ErrUnavailable)
	}
	c.submit("publish "+c.name+" "+subject, time.Time{}, func(nth uint64) {
		if !c.calm && c.chance("lose", c.name, subject, nth)%10 == 0 {
			return
		}
		if err := c.memory.Publish(subject, data); err != nil {
			panic(err) // memory never refuses
		}
	})
	return nil
}

func (c *conn) Subscribe(ctx context.Context, subject string, f func(bus.Message)) error {
	return c.memory.Subscribe(ctx, subject, f)
}

func (c *conn) Request(ctx context.Context, subject string, h events.Header, data []byte) (bus.Message, error) {
	return c.memory.Request(ctx, subject, h, data)
}

func (c *conn) Serve(ctx context.Context, subject string, f func(context.Context, bus.Message) (bus.Message, error)) error {
	return c.memory.Serve(ctx, subject, f)
}

func (c *conn) Listen(ctx context.Context, subject string) (net.Listener, error) {
	return c.memory.Listen(ctx, subject)
}

func (c *conn) Dial(ctx context.Context, subject string) (net.Conn, error) {
	return c.memory.Dial(ctx, subject)
}

// turn waits until a step of this key is taken.
func (c *conn) turn(ctx context.Context, key string) (nth uint64, err error) {
	taken := make(chan uint64, 1)
	c.mu.Lock()
	if c.dead || c.cut {
		c.mu.Unlock()
		return 0, fmt.Errorf("%s: %w", key, events.ErrUnavailable)
	}
	c.submit(key, time.Time{}, func(nth uint64) { taken <- nth })
	c.mu.Unlock()
	select {
	case nth := <-taken:
		return nth, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s: %w: %w", key, events.ErrUnavailable, ctx.Err())
	}
}

func cmpNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
