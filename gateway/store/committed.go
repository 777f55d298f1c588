package store

import (
	"context"
	"sync"

	"github.com/reckon-project/reckon/bus"
)

// committed learns a log's last acknowledged position for many readers at once:
// who asks while a question is under way shares the next one with all others
// that do. An answer is never older than the question of who gets it.
type committed struct {
	mu      sync.Mutex
	running *question
	next    *question // not asked yet; nil: nobody waits for it
}

type question struct {
	done chan struct{}
	last uint64
	err  error
}

func (c *committed) get(ctx context.Context, log bus.Log) (uint64, error) {
	c.mu.Lock()
	q := c.next
	if q == nil {
		q = &question{done: make(chan struct{})}
		if c.running == nil {
			c.running = q
			go c.ask(log)
		} else {
			c.next = q
		}
	}
	c.mu.Unlock()
	select {
	case <-q.done:
		return q.last, q.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// ask answers questions until nobody waits for one.
func (c *committed) ask(log bus.Log) {
	for {
		c.mu.Lock()
		q := c.running
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, q.last, q.err = log.Range(ctx)
		cancel()
		close(q.done)
		c.mu.Lock()
		c.running, c.next = c.next, nil
		idle := c.running == nil
		c.mu.Unlock()
		if idle {
			return
		}
	}
}
