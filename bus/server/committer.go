package server

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/reckon-project/reckon/events"
)

// committer makes one stream durable: one sync for all who wait when it begins.
//
//	Await ─► waiting ─► loop: take all ─► sync ─► durable = their highest ─► answer
type committer struct {
	stream  string
	sync    func() error
	mark    *mark
	durable atomic.Uint64
	failure func(error)

	mu      sync.Mutex
	waiting []waiter
	closed  bool
	failed  error
	wake    chan struct{} // has room for one signal
	ended   chan struct{}
}

type waiter struct {
	sequence uint64
	done     func(error)
}

func newCommitter(stream string, sync func() error, m *mark, durable uint64, failure func(error)) *committer {
	c := &committer{stream: stream, sync: sync, mark: m, failure: failure, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	c.durable.Store(durable)
	go c.loop()
	return c
}

var errClosed = fmt.Errorf("the bus's server is shutting down: %w", events.ErrUnavailable)

func (c *committer) await(sequence uint64, done func(error)) {
	if sequence <= c.durable.Load() {
		done(nil)
		return
	}
	c.mu.Lock()
	if c.closed || c.failed != nil {
		err := c.failed
		if err == nil {
			err = errClosed
		}
		c.mu.Unlock()
		done(err)
		return
	}
	c.waiting = append(c.waiting, waiter{sequence, done})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *committer) loop() {
	defer close(c.ended)
	var group []waiter
	for range c.wake {
		c.mu.Lock()
		group, c.waiting = c.waiting, group[:0]
		closed := c.closed
		c.mu.Unlock()
		if len(group) > 0 {
			c.commit(group)
		}
		clear(group)
		if closed {
			return
		}
	}
}

func (c *committer) commit(group []waiter) {
	durable := c.durable.Load()
	target := durable
	for _, w := range group {
		target = max(target, w.sequence)
	}
	if target > durable {
		if err := c.sync(); err != nil {
			c.fail(group, fmt.Errorf("make %s durable up to %d: %w", c.stream, target, err))
			return
		}
		c.durable.Store(target)
		if err := c.mark.write(target); err != nil {
			c.fail(group, fmt.Errorf("write the durable mark of %s: %w", c.stream, err))
			return
		}
	}
	for _, w := range group {
		w.done(nil)
	}
}

func (c *committer) fail(group []waiter, err error) {
	c.mu.Lock()
	c.failed = err
	group = append(group, c.waiting...)
	c.waiting = nil
	c.mu.Unlock()
	c.failure(err)
	for _, w := range group {
		w.done(err)
	}
}

// close makes what waits durable and ends.
func (c *committer) close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.ended
	return c.mark.close()
}
