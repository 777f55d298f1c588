package projections

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	pastKept = 3           // past snapshots in memory at most
	pastFor  = time.Minute // since they were last used
)

// past holds the past snapshots used last, and lets one caller at a time fold
// another: who waits often finds what it wanted made. A past made from a
// checkpoint shares nothing with the present, so none is kept for long.
type past struct {
	turn chan struct{}

	mu   sync.Mutex
	kept []used // least recently used first
}

type used struct {
	snapshot *Snapshot
	at       time.Time
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
func (c *past) nearest(position uint64, now time.Time) *Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(now)
	best := -1
	for i, u := range c.kept {
		if at := u.snapshot.Position(); at <= position && (best < 0 || at > c.kept[best].snapshot.Position()) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	s := c.kept[best].snapshot
	c.kept = append(slices.Delete(c.kept, best, best+1), used{s, now})
	return s
}

func (c *past) add(s *Snapshot, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = slices.DeleteFunc(c.kept, func(u used) bool { return u.snapshot.Position() == s.Position() })
	if len(c.kept) == pastKept {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, used{s, now})
}

// expire drops what wasn't used for a while, and says how many are left.
func (c *past) expire(now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(now)
	return len(c.kept)
}

func (c *past) drop(now time.Time) {
	c.kept = slices.DeleteFunc(c.kept, func(u used) bool { return !now.Before(u.at.Add(pastFor)) })
}
