package memory

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

type feed struct {
	mu       sync.Mutex
	values   map[string]value
	changes  uint64
	watchers map[*watcher]struct{}
}

type value struct {
	item   bus.FeedItem
	change uint64 // its number
}

type watcher struct {
	filters []string
	due     []bus.FeedItem
	changed chan struct{} // has room for one signal
}

func (f *feed) Put(ctx context.Context, subject string, header events.Header, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(data) == 0 {
		data = nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	item := bus.FeedItem{Subject: subject, Header: header, Data: data}
	f.changes++
	f.values[subject] = value{item, f.changes}
	for w := range f.watchers {
		if bus.MatchAny(w.filters, subject) {
			w.due = append(w.due, item)
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

func (f *feed) Watch(ctx context.Context, filters ...string) iter.Seq2[bus.FeedItem, error] {
	return func(yield func(bus.FeedItem, error) bool) {
		w := &watcher{filters: filters, changed: make(chan struct{}, 1)}
		f.mu.Lock()
		var present []value
		for subject, v := range f.values {
			if bus.MatchAny(filters, subject) {
				present = append(present, v)
			}
		}
		slices.SortFunc(present, func(a, b value) int { return cmp.Compare(a.change, b.change) })
		for _, v := range present {
			w.due = append(w.due, v.item)
		}
		f.watchers[w] = struct{}{}
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			delete(f.watchers, w)
			f.mu.Unlock()
		}()
		for {
			f.mu.Lock()
			due := w.due
			w.due = nil
			f.mu.Unlock()
			for _, item := range due {
				if !yield(item, nil) {
					return
				}
			}
			if len(due) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(bus.FeedItem{}, ctx.Err())
				return
			case <-w.changed:
			}
		}
	}
}
