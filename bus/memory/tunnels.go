package memory

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/tunnel"
	"github.com/reckon-project/reckon/events"
)

const backlog = 128 // tunnels that wait for Accept, per listener

type listener struct {
	bus     *Bus
	subject string
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (b *Bus) Listen(ctx context.Context, subject string) (net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &listener{bus: b, subject: subject, conns: make(chan net.Conn, backlog), done: make(chan struct{})}
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	b.mu.Unlock()
	context.AfterFunc(ctx, func() { l.Close() })
	return l, nil
}

// Dial joins two ends of the real tunnel by calling one from the other.
func (b *Bus) Dial(ctx context.Context, subject string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.listeners {
		if !bus.Match(l.subject, subject) {
			continue
		}
		var near, far *tunnel.Conn
		near = tunnel.New("client", tunnel.Addr(subject), func(frame []byte) error { far.Receive(frame); return nil }, nil)
		far = tunnel.New(tunnel.Addr(subject), "client", func(frame []byte) error { near.Receive(frame); return nil }, nil)
		select {
		case l.conns <- far:
			return near, nil
		default:
			return nil, fmt.Errorf("dial %s: %w: %d tunnels wait to be accepted", subject, events.ErrUnavailable, backlog)
		}
	}
	return nil, fmt.Errorf("dial %s: %w: nobody listens", subject, events.ErrUnavailable)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	case c := <-l.conns:
		return c, nil
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.bus.mu.Lock()
		l.bus.listeners = slices.DeleteFunc(l.bus.listeners, func(o *listener) bool { return o == l })
		l.bus.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.conns:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return tunnel.Addr(l.subject) }
