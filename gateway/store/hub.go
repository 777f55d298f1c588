package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Hub is what the stores on one log share. It reads the projection's changes
// once and sorts them by resource, for all watches. Watchers pull at their own
// pace: nobody waits for a slow one.
type Hub struct {
	projection *projections.Projection
	keep       int

	position  atomic.Uint64 // every change up to here is in the feeds
	committed committed

	mu    sync.Mutex
	feeds map[schema.GroupResource]*feed
	from  uint64 // changes after this position have been sorted
	old   uint64 // positions below are too old for lists
	err   error
}

// keptChanges is how many changes of a resource a Hub keeps for watches that
// begin in the past or are slow.
const keptChanges = 1 << 13

// NewHub makes a Hub that does nothing until it runs.
func NewHub(p *projections.Projection) *Hub {
	h := &Hub{projection: p, keep: keptChanges, feeds: map[schema.GroupResource]*feed{}}
	h.from = p.Snapshot().Position()
	h.position.Store(h.from)
	return h
}

// Run sorts changes until ctx ends or folding stops.
func (h *Hub) Run(ctx context.Context) error {
	for {
		err := h.follow(ctx)
		// If it fell behind the projection's buffer, watches begin anew. A
		// projection that stopped for such a reason itself stays where it is.
		if !errors.Is(err, events.ErrGone) || !h.skip() {
			h.stop(err)
			return err
		}
	}
}

func (h *Hub) follow(ctx context.Context) error {
	sorted := map[*feed][]*change{}
	for changes, err := range h.projection.Changes(ctx, h.position.Load(), projections.BufferOnly()) {
		if err != nil {
			return err
		}
		for i := range changes {
			c := &changes[i]
			if c.Void != nil || (c.Old == nil && c.New == nil) {
				continue
			}
			f := h.feed(schema.GroupResource{Group: c.Event.Key.Group, Resource: c.Event.Key.Resource})
			sorted[f] = append(sorted[f], &change{Change: *c})
		}
		for f, news := range sorted {
			f.add(news, h.keep)
			delete(sorted, f)
		}
		h.position.Store(changes[len(changes)-1].Event.Sequence)
	}
	return ctx.Err()
}

// skip forgets everything and begins at the present; false: it is there already.
func (h *Hub) skip() bool {
	position := h.projection.Snapshot().Position()
	if position == h.position.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from = position
	h.position.Store(position)
	for _, f := range h.feeds {
		f.forget(position)
	}
	return true
}

func (h *Hub) stop(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = fmt.Errorf("watches stopped: %w", err)
	for _, f := range h.feeds {
		f.wake()
	}
}

// Err says why the Hub no longer runs; nil while it does.
func (h *Hub) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Forget makes positions below before too old for lists and watches.
func (h *Hub) Forget(before uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from, h.old = max(h.from, before), max(h.old, before)
	for _, f := range h.feeds {
		f.forget(before)
	}
}

func (h *Hub) forgotten() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.old
}

func (h *Hub) feed(r schema.GroupResource) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[r]
	if f == nil {
		f = &feed{from: h.from, advanced: make(chan struct{})}
		h.feeds[r] = f
	}
	return f
}
