package news

import (
	"context"
	"errors"
	"sync"

	"github.com/reckon-project/reckon/events"
)

// earlier is what the log told before the book was made. It takes folding a part
// of the log again, which would be a quarter of what starting with 10,000 pods
// costs, so it waits for somebody who wants to read Events.
type earlier struct {
	mu   sync.Mutex
	told bool
	end  uint64 // the log's position when the book was made
}

// recall tells what happened before the book was made: since Keep, as far as Most
// events reach back, or as far as the log does.
func (b *Book) recall(ctx context.Context) error {
	b.earlier.mu.Lock()
	defer b.earlier.mu.Unlock()
	if b.earlier.told {
		return nil
	}
	end := b.earlier.end
	from := end - min(end, uint64(b.Most))
	switch old, err := b.Log.PositionAt(ctx, b.Now().Add(-b.Keep)); {
	case err == nil:
		from = max(from, old)
	case !errors.Is(err, events.ErrGone):
		return err
	}
	if from < end {
		book := New(b.Options)
		err := book.tellUpTo(ctx, from, end)
		if err != nil && !errors.Is(err, events.ErrGone) {
			return err
		}
		book.prune()
		b.precede(book)
	}
	b.earlier.told = true
	return nil
}

// precede puts what another book tells before what b has told so far.
func (b *Book) precede(book *Book) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var first []*entry
	for _, e := range book.told {
		e, ok := book.items.Get(e.key) // with all times that it was counted up
		if !ok {
			continue
		}
		id := e.story.sameness()
		since := b.same[id]
		if since == nil {
			e := &entry{key: e.key, story: e.story}
			b.replace(nil, e)
			b.same[id] = e
			first = append(first, e)
			continue
		}
		whole := *since.story
		whole.first, whole.count = e.story.first, whole.count+e.story.count
		next := &entry{key: since.key, story: &whole}
		b.replace(since, next)
		b.same[id] = next
	}
	b.told = append(first, b.told...)
	b.prune()
	b.wake()
}
