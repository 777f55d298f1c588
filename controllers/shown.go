package controllers

import (
	"context"
	"fmt"
	"sync"
)

// shown is how far the changes were shown to the mappers.
type shown struct {
	mu       sync.Mutex
	position uint64
	ended    bool
	advanced chan struct{} // closed at the next step; nil: nobody waits
}

// reach says that all up to position was shown, and that the keys are queued.
func (s *shown) reach(position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position = max(s.position, position)
	s.wake()
}

// end says that no more will be shown.
func (s *shown) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
}

// wake lets those who wait look again; mu is held.
func (s *shown) wake() {
	if s.advanced != nil {
		close(s.advanced)
		s.advanced = nil
	}
}

// waitFor returns when all up to position was shown, or no more will be.
func (s *shown) waitFor(ctx context.Context, position uint64) error {
	for {
		s.mu.Lock()
		if s.position >= position || s.ended {
			s.mu.Unlock()
			return nil
		}
		if s.advanced == nil {
			s.advanced = make(chan struct{})
		}
		advanced := s.advanced
		s.mu.Unlock()
		select {
		case <-advanced:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d to be shown to the watches: %w", position, ctx.Err())
		}
	}
}
