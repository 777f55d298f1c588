package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// feed is the recent changes of one resource.
type feed struct {
	mu       sync.Mutex
	changes  []*change
	from     uint64        // every change after this position is in changes
	progress uint64        // counts requests for a bookmark
	advanced chan struct{} // closed and replaced when anything above changes
}

func (f *feed) add(news []*change, keep int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, news...)
	// Watchers that are this far behind convert for themselves again.
	end := len(f.changes) - servedKept
	for i := max(0, end-len(news)); i < end; i++ {
		f.changes[i].forget()
	}
	if drop := len(f.changes) - keep; drop > keep/4 {
		f.from = f.changes[drop-1].Event.Sequence
		f.changes = slices.Clone(f.changes[drop:]) // readers hold the old array
	}
	f.wakeLocked()
}

func (f *feed) forget(before uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from = max(f.from, before)
	f.changes = slices.Clone(f.changes[f.after(before):])
	f.wakeLocked()
}

func (f *feed) requestProgress() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress++
	f.wakeLocked()
}

func (f *feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeLocked()
}

func (f *feed) wakeLocked() {
	close(f.advanced)
	f.advanced = make(chan struct{})
}

// read gives the changes after a position, the channel that tells of more, and
// the number of bookmarks asked for. A position that is no longer kept is ErrGone.
func (f *feed) read(position uint64) (news []*change, advanced <-chan struct{}, progress uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position < f.from {
		return nil, nil, 0, fmt.Errorf("changes after %d: kept from %d on: %w", position, f.from, events.ErrGone)
	}
	i := f.after(position)
	return f.changes[i:len(f.changes):len(f.changes)], f.advanced, f.progress, nil
}

func (f *feed) after(position uint64) int {
	i, _ := slices.BinarySearchFunc(f.changes, position+1, func(c *change, p uint64) int {
		switch {
		case c.Event.Sequence < p:
			return -1
		case c.Event.Sequence > p:
			return 1
		}
		return 0
	})
	return i
}

// servedKept is how many of a feed's newest changes keep what was made of them
// for watchers.
const servedKept = 512

// change is a change with its values as registries want them, made once for
// all watchers of a store.
type change struct {
	projections.Change
	mu     sync.Mutex
	served map[*Store]*served
}

type served struct {
	old, new       *shared // at the change's position
	oldErr, newErr error
}

func (c *change) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served = nil
}

// values gives the object after the change and, where it is asked for, before
// it. Both are shared by all watchers.
func (c *change) values(ctx context.Context, s *Store, wantOld bool) (old, new *shared, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.served[s]
	if v == nil {
		v = &served{}
		if c.served == nil {
			c.served = map[*Store]*served{}
		}
		c.served[s] = v
		if c.New != nil {
			v.new, v.newErr = s.shared(ctx, c.New, c.Event.Sequence)
		}
	}
	if v.newErr != nil {
		return nil, nil, v.newErr
	}
	if wantOld && c.Old != nil && v.old == nil && v.oldErr == nil {
		v.old, v.oldErr = s.shared(ctx, c.Old, c.Event.Sequence)
	}
	return v.old, v.new, v.oldErr
}

func (s *Store) shared(ctx context.Context, o *events.Object, version uint64) (*shared, error) {
	obj, err := s.value(ctx, o, version)
	if err != nil {
		return nil, err
	}
	return &shared{object: obj}, nil
}

// value gives an object as watchers want it, at a version.
func (s *Store) value(ctx context.Context, o *events.Object, version uint64) (runtime.Object, error) {
	value, err := s.openWas(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.convert.served(value, version)
}
