package projections

import (
	"context"
	"slices"
	"sync"
)

// pastKept is how many past snapshots stay in memory.
const pastKept = 8

// past holds the past snapshots used last, and lets one caller at a time fold
// another: who waits often finds what it wanted made.
type past struct {
	turn chan struct{}

	mu   sync.Mutex
	kept []*Snapshot // least recently used first
}

func newPast() past { return past{turn: make(chan struct{}, 1)} }

func (c *past) enter(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *past) leave() { <-c.turn }

// nearest is the newest kept snapshot that is not after position, or nil.
func (c *past) nearest(position uint64) *Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := -1
	for i, s := range c.kept {
		if s.Position() <= position && (best < 0 || s.Position() > c.kept[best].Position()) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	s := c.kept[best]
	c.kept = append(slices.Delete(c.kept, best, best+1), s)
	return s
}

func (c *past) add(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = slices.DeleteFunc(c.kept, func(o *Snapshot) bool { return o.Position() == s.Position() })
	if len(c.kept) == pastKept {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, s)
}
