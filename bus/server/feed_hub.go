package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
)

// feedHub follows the whole feed once and serves every restricted watcher from
// memory: a change of a service costs one map entry per node, not one consumer.
type feedHub struct {
	mu       sync.Mutex
	values   map[string]feedValue
	watchers map[*feedWatcher]struct{}
	changes  uint64
}

type feedValue struct {
	item   bus.FeedItem
	change uint64 // its number
}

// feedWatcher is what one watcher has yet to see: the newest value of each
// changed subject, so that a slow one costs no more than the feed itself.
type feedWatcher struct {
	filters []string
	due     map[string]bus.FeedItem
	order   []string
	wake    chan struct{} // has room for one signal
}

const tombstoneKept = 10 * time.Minute

func newFeedHub() *feedHub {
	return &feedHub{values: map[string]feedValue{}, watchers: map[*feedWatcher]struct{}{}}
}

// run follows the feed until ctx ends.
func (h *feedHub) run(ctx context.Context, feed bus.Feed, log *slog.Logger) {
	for ctx.Err() == nil {
		for item, err := range feed.Watch(ctx) {
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
					log.Warn("follow the node feed", "error", err)
				}
				break
			}
			h.put(item)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (h *feedHub) put(item bus.FeedItem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.values[item.Subject]; item.Data == nil && (!ok || old.item.Data != nil) {
		time.AfterFunc(tombstoneKept, func() { h.forget(item.Subject) })
	}
	h.changes++
	h.values[item.Subject] = feedValue{item, h.changes}
	for w := range h.watchers {
		if bus.MatchAny(w.filters, item.Subject) {
			w.add(item)
		}
	}
}

func (h *feedHub) forget(subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.values[subject]; ok && v.item.Data == nil {
		delete(h.values, subject)
	}
}

func (h *feedHub) watch(filters []string) *feedWatcher {
	w := &feedWatcher{filters: filters, due: map[string]bus.FeedItem{}, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	var present []feedValue
	for subject, v := range h.values {
		if bus.MatchAny(filters, subject) {
			present = append(present, v)
		}
	}
	slices.SortFunc(present, func(a, b feedValue) int { return cmp.Compare(a.change, b.change) })
	for _, v := range present {
		w.add(v.item)
	}
	h.watchers[w] = struct{}{}
	return w
}

func (h *feedHub) leave(w *feedWatcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// add is called with the hub's lock held. A subject that is due keeps its
// place unless it changes again: order between subjects is that of their last
// change, so that a manifest comes after what it speaks of.
func (w *feedWatcher) add(item bus.FeedItem) {
	w.order = append(w.order, item.Subject)
	w.due[item.Subject] = item
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take gives what is due, each subject once, in the order of the last changes.
func (h *feedHub) take(w *feedWatcher) []bus.FeedItem {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(w.order) == 0 {
		return nil
	}
	items := make([]bus.FeedItem, 0, len(w.due))
	for i := len(w.order) - 1; i >= 0; i-- {
		subject := w.order[i]
		if item, ok := w.due[subject]; ok {
			items = append(items, item)
			delete(w.due, subject)
		}
	}
	w.order = w.order[:0]
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
	return items
}
