package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/reckon-project/reckon/events"
)

const inboxPrefix = "_INBOX_"

// Dialer opens one NATS connection with the options given in addition to its own.
type Dialer func(options ...nats.Option) (*nats.Conn, error)

// Attach makes a bus of NATS connections: one for messages and, once the first
// tunnel is opened, one for tunnels. identity scopes the inboxes.
func Attach(ctx context.Context, identity string, dial Dialer, durability Durability) (Bus, error) {
	c := &connection{
		identity: identity, dial: dial, durability: durability,
		inbox:    inboxPrefix + events.EncodeToken(identity),
		watchers: map[*denialWatch]struct{}{}, handled: map[*nats.Conn]error{}, signal: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if c.nc, err = c.open("messages"); err != nil {
		return nil, fmt.Errorf("connect to the bus as %s: %w: %w", identity, events.ErrUnavailable, err)
	}
	if c.js, err = jetstream.New(c.nc); err != nil {
		c.nc.Close()
		return nil, err
	}
	if err := c.startAcks(); err != nil {
		c.nc.Close()
		return nil, err
	}
	c.log = &natsLog{c: c, stream: StreamLog}
	c.volatile = &natsLog{c: c, stream: StreamVolatile}
	return c, nil
}

// connection is a Bus on NATS.
type connection struct {
	identity   string
	inbox      string
	dial       Dialer
	durability Durability
	nc         *nats.Conn
	js         jetstream.JetStream
	acks       *acks
	log        *natsLog
	volatile   *natsLog

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	watchers map[*denialWatch]struct{}
	handled  map[*nats.Conn]error // the last violation that reached onError
	signal   chan struct{}        // closed and replaced when handled changes
	tunnels  *tunnels             // nil until used
	closed   bool
}

func (c *connection) Log() Log      { return c.log }
func (c *connection) Volatile() Log { return c.volatile }
func (c *connection) Feed() Feed    { return &natsFeed{c} }
func (c *connection) Blobs() Blobs  { return &natsBlobs{c} }

// Close ends everything that was started on the connection and waits for it.
func (c *connection) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	t := c.tunnels
	c.mu.Unlock()
	c.cancel()
	c.acks.close()
	c.tasks.Wait()
	if t != nil {
		t.close()
	}
	c.nc.Close()
	return nil
}

// task runs f in a goroutine that Close waits for.
func (c *connection) task(f func()) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		go f() // f sees that c.ctx has ended
		return
	}
	c.tasks.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.tasks.Done()
		f()
	}()
}

func (c *connection) open(use string) (*nats.Conn, error) {
	return c.dial(
		nats.Name(c.identity+" "+use),
		nats.CustomInboxPrefix(c.inbox),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // an unsent append is known to be unsent
		nats.ErrorHandler(c.onError),
		nats.DisconnectErrHandler(c.onDisconnect),
		nats.ReconnectHandler(c.onReconnect),
	)
}

func (c *connection) onError(nc *nats.Conn, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		if d := parseDenied(err); d != nil {
			c.denied(d)
			c.mu.Lock()
			c.handled[nc] = err
			close(c.signal)
			c.signal = make(chan struct{})
			c.mu.Unlock()
			return
		}
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	slog.Warn("bus connection", "identity", c.identity, "subject", subject, "error", err)
}

func (c *connection) onDisconnect(nc *nats.Conn, err error) {
	if err != nil {
		slog.Warn("bus connection lost, reconnecting", "identity", c.identity, "error", err)
	}
	c.mu.Lock()
	t := c.tunnels
	c.mu.Unlock()
	if t != nil && t.nc == nc {
		t.reset(fmt.Errorf("connection to the bus lost: %w", events.ErrUnavailable))
	}
}

func (c *connection) onReconnect(nc *nats.Conn) {
	if nc == c.nc {
		c.acks.lost()
	}
}

// deniedText is how a NATS server words a violation; the client hands it on as text.
var deniedText = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

func parseDenied(err error) *Denied {
	m := deniedText.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	op := "publish"
	if strings.EqualFold(m[1], "subscription") {
		op = "subscribe"
	}
	return &Denied{Operation: op, Subject: m[2]}
}

// denialWatch waits for the server's word that a subject is denied.
type denialWatch struct {
	match  func(subject string) bool
	cancel context.CancelCauseFunc
}

// guard gives a context that ends with *Denied when the server refuses a
// subject that match accepts.
func (c *connection) guard(ctx context.Context, match func(string) bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &denialWatch{match, cancel}
	c.mu.Lock()
	c.watchers[w] = struct{}{}
	c.mu.Unlock()
	return ctx, func() {
		c.mu.Lock()
		delete(c.watchers, w)
		c.mu.Unlock()
		cancel(nil)
	}
}

func (c *connection) denied(d *Denied) {
	c.mu.Lock()
	for w := range c.watchers {
		if w.match(d.Subject) {
			w.cancel(d)
		}
	}
	c.mu.Unlock()
	if d.Operation == "publish" {
		c.acks.denied(d)
	}
}

// guardAPI is guard for calls of the JetStream API about stream.
func (c *connection) guardAPI(ctx context.Context, stream string) (context.Context, func()) {
	return c.guard(ctx, func(subject string) bool {
		return strings.HasPrefix(subject, "$JS.API.") && strings.Contains(subject+".", "."+stream+".")
	})
}

// cause prefers why a guarded context ended over what a call made of it.
func cause(ctx context.Context, err error) error {
	var d *Denied
	if errors.As(context.Cause(ctx), &d) {
		return d
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// unavailable gives err the class it has for callers.
func unavailable(doing string, err error) error {
	var d *Denied
	switch {
	case errors.As(err, &d), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, events.ErrUnavailable, err)
}

func (c *connection) newInbox() string { return c.inbox + "." + nuid.Next() }

// flush waits until the server has handled everything sent so far on nc, and
// what it refused of that has reached the guards: the client's error handler
// runs later than the answer to a flush.
func (c *connection) flush(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return err
	}
	for {
		c.mu.Lock()
		handled, signal := c.handled[nc], c.signal
		c.mu.Unlock()
		last := nc.LastError()
		if last == handled || !errors.Is(last, nats.ErrPermissionViolation) || parseDenied(last) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-signal:
		}
	}
}
