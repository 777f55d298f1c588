package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// shown is how far the changes were shown to the mappers.
type shown struct {
	mu       sync.Mutex
	position uint64
	ended    bool
	waiting  []*showing
}

// showing is somebody who waits until a position was shown.
type showing struct {
	position uint64
	done     chan struct{}
}

// reach says that all up to position was shown, and that the keys are queued. It
// wakes only whom that concerns.
func (s *shown) reach(position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position = max(s.position, position)
	s.waiting = slices.DeleteFunc(s.waiting, func(w *showing) bool {
		if w.position > s.position {
			return false
		}
		close(w.done)
		return true
	})
}

// end says that no more will be shown.
func (s *shown) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, w := range s.waiting {
		close(w.done)
	}
	s.waiting = nil
}

// waitFor returns when all up to position was shown, or no more will be.
func (s *shown) waitFor(ctx context.Context, position uint64) error {
	s.mu.Lock()
	if s.position >= position || s.ended {
		s.mu.Unlock()
		return nil
	}
	w := &showing{position, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o *showing) bool { return o == w })
	return fmt.Errorf("wait for %d to be shown to the watches: %w", position, ctx.Err())
}
