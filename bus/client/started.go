package client

import (
	"context"
	"sync"
)

// started runs what was started, one after the other, until the client is closed.
type started struct {
	mu     sync.Mutex
	queue  []func(context.Context)
	busy   bool
	closed bool
	cancel context.CancelFunc // of what runs
	runs   sync.WaitGroup
}

// begin queues f; false: the client is closed.
func (s *started) begin(f func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.queue = append(s.queue, f)
	if !s.busy {
		ctx, cancel := context.WithCancel(context.Background())
		s.busy, s.cancel = true, cancel
		s.runs.Go(func() {
			defer cancel()
			s.run(ctx)
		})
	}
	return true
}

func (s *started) run(ctx context.Context) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.busy, s.queue = false, nil
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f(ctx)
	}
}

// end cancels what was begun, and waits until it has ended.
func (s *started) end() {
	s.mu.Lock()
	s.closed = true
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	s.runs.Wait()
}
