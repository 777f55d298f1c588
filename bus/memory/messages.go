package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

type subscription struct {
	subject string
	ctx     context.Context
	f       func(bus.Message)

	mu      sync.Mutex
	queue   []bus.Message
	running bool
}

type server struct {
	subject string
	ctx     context.Context
	f       func(context.Context, bus.Message) (bus.Message, error)
}

func (b *Bus) Publish(subject string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		if bus.Match(s.subject, subject) {
			s.add(bus.Message{Subject: subject, Data: slices.Clone(data)})
		}
	}
	return nil
}

// add delivers m after what was added before, in a goroutine that exists only
// while there is something to deliver.
func (s *subscription) add(m bus.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, m)
	if !s.running {
		s.running = true
		go s.deliver()
	}
}

func (s *subscription) deliver() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.ctx.Err() != nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		m := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.f(m)
	}
}

func (b *Bus) Subscribe(ctx context.Context, subject string, f func(bus.Message)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := &subscription{subject: subject, ctx: ctx, f: f}
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
		if !bus.Match(s.subject, subject) {
			continue
		}
		type answer struct {
			message bus.Message
			err     error
		}
		answered := make(chan answer, 1)
		go func() {
			m, err := s.f(s.ctx, bus.Message{Subject: subject, Header: header, Data: slices.Clone(data)})
			answered <- answer{m, err}
		}()
		select {
		case a := <-answered:
			if a.err != nil {
				return bus.Message{}, fmt.Errorf("request %s: %w: %s", subject, events.ErrUnavailable, a.err.Error())
			}
			return a.message, nil
		case <-ctx.Done():
			return bus.Message{}, fmt.Errorf("request %s: %w", subject, ctx.Err())
		}
	}
	return bus.Message{}, fmt.Errorf("request %s: nobody answers: %w", subject, events.ErrUnavailable)
}
