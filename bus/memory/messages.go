package memory

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

type subscription struct {
	subject string
	f       func(bus.Message)
}

type server struct {
	subject string
	ctx     context.Context
	f       func(context.Context, bus.Message) (bus.Message, error)
}

func (b *Bus) Publish(subject string, data []byte) error {
	b.mu.Lock()
	subs := slices.Clone(b.subs)
	b.mu.Unlock()
	for _, s := range subs {
		if Match(s.subject, subject) {
			s.f(bus.Message{Subject: subject, Data: data})
		}
	}
	return nil
}

func (b *Bus) Subscribe(ctx context.Context, subject string, f func(bus.Message)) error {
	s := &subscription{subject, f}
	b.mu.Lock()
	b.subs = append(b.subs, s)
	b.mu.Unlock()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.subs = slices.DeleteFunc(b.subs, func(o *subscription) bool { return o == s })
	})
	return nil
}

func (b *Bus) Serve(ctx context.Context, subject string, f func(context.Context, bus.Message) (bus.Message, error)) error {
	s := &server{subject, ctx, f}
	b.mu.Lock()
	b.servers = append(b.servers, s)
	b.mu.Unlock()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.servers = slices.DeleteFunc(b.servers, func(o *server) bool { return o == s })
	})
	return nil
}

func (b *Bus) Request(ctx context.Context, subject string, header events.Header, data []byte) (bus.Message, error) {
	b.mu.Lock()
	servers := slices.Clone(b.servers)
	b.mu.Unlock()
	for _, s := range servers {
		if Match(s.subject, subject) {
			return s.f(ctx, bus.Message{Subject: subject, Header: header, Data: data})
		}
	}
	return bus.Message{}, fmt.Errorf("request %s: nobody answers: %w", subject, events.ErrUnavailable)
}

func (b *Bus) Listen(ctx context.Context, subject string) (net.Listener, error) {
	l := &listener{bus: b, subject: subject, conns: make(chan net.Conn), done: make(chan struct{})}
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	b.mu.Unlock()
	context.AfterFunc(ctx, func() { l.Close() })
	return l, nil
}

func (b *Bus) Dial(ctx context.Context, subject string) (net.Conn, error) {
	b.mu.Lock()
	listeners := slices.Clone(b.listeners)
	b.mu.Unlock()
	for _, l := range listeners {
		if !Match(l.subject, subject) {
			continue
		}
		near, far := net.Pipe()
		select {
		case l.conns <- conn{far, addr(subject), "client"}:
			return conn{near, "client", addr(subject)}, nil
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("dial %s: nobody listens: %w", subject, events.ErrUnavailable)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.bus.mu.Lock()
		defer l.bus.mu.Unlock()
		l.bus.listeners = slices.DeleteFunc(l.bus.listeners, func(o *listener) bool { return o == l })
	})
	return nil
}

func (l *listener) Addr() net.Addr { return addr(l.subject) }
