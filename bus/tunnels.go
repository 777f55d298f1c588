package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/reckon-project/reckon/bus/tunnel"
	"github.com/reckon-project/reckon/events"
)

// A tunnel dialled on <subject> runs over t.u.<subject>.<id> to the listener and
// t.d.<subject>.<id> back, so that permissions for a subject scope its tunnels.
const (
	tunnelUp     = "t.u."
	tunnelDown   = "t.d."
	headerTunnel = "Reckon-Tunnel"
	accepted     = "Reckon-Accepted"

	pingEvery  = 5 * time.Second
	peerSilent = 20 * time.Second
	backlog    = 128 // tunnels that wait for Accept
)

var errNobody = fmt.Errorf("%w: nobody listens", events.ErrUnavailable)

// tunnels are all tunnels of one Bus, on a NATS connection of their own: bulk
// data doesn't hold up the log.
type tunnels struct {
	c  *connection
	nc *nats.Conn

	mu    sync.Mutex
	ends  map[*end]struct{}
	stop  chan struct{}
	tasks sync.WaitGroup
}

// end is one end of a tunnel and what it needs from NATS.
type end struct {
	*tunnel.Conn
	sub   *nats.Subscription
	heard atomic.Int64 // unix nanoseconds
}

func (c *connection) openTunnels() (*tunnels, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if c.tunnels != nil {
		return c.tunnels, nil
	}
	nc, err := c.open("tunnels")
	if err != nil {
		return nil, fmt.Errorf("open a connection for tunnels: %w: %w", events.ErrUnavailable, err)
	}
	t := &tunnels{c: c, nc: nc, ends: map[*end]struct{}{}, stop: make(chan struct{})}
	t.tasks.Go(t.ping)
	c.tunnels = t
	return t, nil
}

func (t *tunnels) close() {
	t.reset(fmt.Errorf("the bus was closed: %w", net.ErrClosed))
	close(t.stop)
	t.tasks.Wait()
	t.nc.Close()
}

// reset ends all tunnels.
func (t *tunnels) reset(err error) {
	for _, e := range t.all() {
		e.Reset(err)
	}
}

func (t *tunnels) all() []*end {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*end, 0, len(t.ends))
	for e := range t.ends {
		out = append(out, e)
	}
	return out
}

// ping keeps tunnels alive and ends those whose peer has gone silent. A peer
// without a subscription is noticed at the first ping: nobody responds.
func (t *tunnels) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case now := <-tick.C:
			for _, e := range t.all() {
				if e.PeerClosed() {
					continue // there is no word to expect
				}
				if now.UnixNano()-e.heard.Load() > int64(peerSilent) {
					e.Reset(fmt.Errorf("tunnel to %s: %w: no word from the peer for %s", e.RemoteAddr(), events.ErrUnavailable, peerSilent))
					continue
				}
				e.Ping()
			}
		}
	}
}

// newEnd makes an end that receives on in and sends to out. answered is called
// with the peer's acceptance, nil for one that has none to wait for.
func (t *tunnels) newEnd(local, remote tunnel.Addr, in, out string, answered func(error)) (*end, error) {
	e := &end{}
	e.heard.Store(time.Now().UnixNano())
	e.Conn = tunnel.New(local, remote, func(frame []byte) error {
		return t.nc.PublishMsg(&nats.Msg{Subject: out, Reply: in, Data: frame})
	}, func() { t.forget(e) })
	var err error
	e.sub, err = t.nc.Subscribe(in, func(m *nats.Msg) {
		switch {
		case m.Header.Get("Status") == "503":
			if answered != nil {
				answered(errNobody)
			}
			e.PeerGone()
		case m.Header.Get(accepted) != "":
			if answered != nil {
				answered(nil)
			}
		default:
			e.heard.Store(time.Now().UnixNano())
			e.Receive(m.Data)
		}
	})
	if err != nil {
		return nil, unavailable("open a tunnel", err)
	}
	if err := e.sub.SetPendingLimits(-1, -1); err != nil { // bounded by the window
		return nil, err
	}
	t.mu.Lock()
	t.ends[e] = struct{}{}
	t.mu.Unlock()
	return e, nil
}

func (t *tunnels) forget(e *end) {
	t.mu.Lock()
	delete(t.ends, e)
	t.mu.Unlock()
	if e.sub != nil {
		e.sub.Unsubscribe() //nolint:errcheck // gone with the connection
	}
}

func (c *connection) Dial(ctx context.Context, subject string) (net.Conn, error) {
	t, err := c.openTunnels()
	if err != nil {
		return nil, err
	}
	id := nuid.Next()
	gctx, done := c.guard(ctx, func(s string) bool { return s == subject || s == tunnelDown+subject+"."+id })
	defer done()
	answer := make(chan error, 1)
	in := tunnelDown + subject + "." + id
	e, err := t.newEnd("client", tunnel.Addr(subject), in, tunnelUp+subject+"."+id, func(err error) {
		select {
		case answer <- err:
		default: // the first word counts
		}
	})
	if err != nil {
		return nil, err
	}
	err = t.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: in, Header: nats.Header{headerTunnel: {id}}})
	if err == nil {
		select {
		case err = <-answer:
		case <-gctx.Done():
			err = cause(gctx, gctx.Err())
		}
	}
	if err != nil {
		e.Close()
		if errors.Is(err, events.ErrUnavailable) {
			return nil, fmt.Errorf("dial %s: %w", subject, err)
		}
		return nil, unavailable("dial "+subject, err)
	}
	return e, nil
}

type listener struct {
	t       *tunnels
	subject string
	conns   chan net.Conn
	done    chan struct{}
	close   func() error
}

// Listen shares a subject's tunnels with others that listen on the same one.
func (c *connection) Listen(ctx context.Context, subject string) (net.Listener, error) {
	t, err := c.openTunnels()
	if err != nil {
		return nil, err
	}
	l := &listener{t: t, subject: subject, conns: make(chan net.Conn, backlog), done: make(chan struct{})}
	gctx, done := c.guard(ctx, func(s string) bool { return s == subject })
	defer done()
	sub, err := t.nc.QueueSubscribe(subject, "listen", l.take)
	if err != nil {
		return nil, unavailable("listen on "+subject, err)
	}
	if err := c.flush(gctx, t.nc); err != nil || gctx.Err() != nil {
		sub.Unsubscribe() //nolint:errcheck // it was refused or the connection is gone
		return nil, unavailable("listen on "+subject, cause(gctx, err))
	}
	l.close = sync.OnceValue(func() error {
		close(l.done)
		err := sub.Unsubscribe()
		for {
			select {
			case conn := <-l.conns:
				conn.Close()
			default:
				if errors.Is(err, nats.ErrConnectionClosed) {
					return nil
				}
				return err
			}
		}
	})
	context.AfterFunc(ctx, func() { l.close() }) //nolint:errcheck // nobody asks
	context.AfterFunc(c.ctx, func() { l.close() })
	return l, nil
}

// tunnelID is what a dialler may choose: one token, so that it can't make a
// listener publish or subscribe outside the subject it was allowed to dial.
var tunnelID = regexp.MustCompile(`^[0-9A-Za-z]{16,64}$`)

// take makes the listener's end of a tunnel that was dialled.
func (l *listener) take(m *nats.Msg) {
	id := m.Header.Get(headerTunnel)
	if !tunnelID.MatchString(id) {
		return
	}
	in, out := tunnelUp+m.Subject+"."+id, tunnelDown+m.Subject+"."+id
	e, err := l.t.newEnd(tunnel.Addr(m.Subject), "client", in, out, nil)
	if err != nil {
		return // the dialler's context ends
	}
	if err := l.t.nc.PublishMsg(&nats.Msg{Subject: out, Reply: in, Header: nats.Header{accepted: {"1"}}}); err != nil {
		e.Close()
		return
	}
	select {
	case <-l.done:
		e.Close()
		return
	default:
	}
	select {
	case l.conns <- e:
	default:
		e.Reset(fmt.Errorf("%w: %d tunnels wait to be accepted", events.ErrUnavailable, backlog))
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	case conn := <-l.conns:
		return conn, nil
	}
}

func (l *listener) Close() error   { return l.close() }
func (l *listener) Addr() net.Addr { return tunnel.Addr(l.subject) }
