package news

import (
	"context"
	"slices"
	"sync"

	"github.com/tidwall/btree"
)

// pastKept is how many moments' Events are kept for who asks again, as describe
// does for one object after the other.
const pastKept = 2

// pasts holds the Events that the log told up to some positions.
type pasts struct {
	mu   sync.Mutex
	kept []pastEvents // last made first
}

type pastEvents struct {
	position uint64
	items    *btree.Map[string, *entry]
}

// then gives the Events that the log had told at a position: those of the last
// [Options].Most events before it, however old they were.
func (b *Book) then(ctx context.Context, position uint64) (*btree.Map[string, *entry], error) {
	b.pasts.mu.Lock()
	defer b.pasts.mu.Unlock()
	for _, p := range b.pasts.kept {
		if p.position == position {
			return p.items, nil
		}
	}
	book := New(b.Options)
	first, err := b.Log.Begin(ctx)
	if err != nil {
		return nil, err
	}
	from := max(position-min(position, uint64(b.Most)), first-min(first, 1))
	if from < position {
		if err := book.tellUpTo(ctx, from, position); err != nil {
			return nil, err
		}
	}
	book.items.Scan(func(_ string, e *entry) bool {
		e.version = position // no other version of it can be asked for
		return true
	})
	b.pasts.kept = slices.Insert(b.pasts.kept[:min(len(b.pasts.kept), pastKept-1)], 0, pastEvents{position, &book.items})
	return &book.items, nil
}

// tellUpTo fills a book of its own with what the log told after from, up to end.
func (b *Book) tellUpTo(ctx context.Context, from, end uint64) error {
	for changes, err := range b.Log.Changes(ctx, from) {
		if err != nil {
			return err
		}
		for i := range changes {
			if changes[i].Event.Sequence > end {
				return nil
			}
			b.tell(&changes[i])
		}
		if changes[len(changes)-1].Event.Sequence >= end {
			return nil
		}
	}
	return ctx.Err()
}
