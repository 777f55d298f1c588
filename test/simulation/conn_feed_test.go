package simulation

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/events"
)

// feedValues is the feed as the bus holds it.
type feedValues struct {
	values   map[string]bus.FeedItem
	watchers []*watcher
}

func newFeedValues() feedValues { return feedValues{values: map[string]bus.FeedItem{}} }

// watcher is a Watch under way. It is owed the newest value of each subject
// that changed, in the order of the last changes.
type watcher struct {
	conn    *conn
	filters []string
	order   []string
	due     bool
	items   chan bus.FeedItem
}

type connFeed struct{ *conn }

// Put is in order for a connection. What one instant brings is ordered by
// subject, manifests last: so it doesn't matter how publishers iterate.
func (f *connFeed) Put(ctx context.Context, subject string, header events.Header, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead || f.cut {
		return fmt.Errorf("put %s: %w", subject, events.ErrUnavailable)
	}
	if len(data) == 0 {
		data = nil
	}
	f.puts = append(f.puts, bus.FeedItem{Subject: subject, Header: header, Data: data})
	select {
	case f.news <- struct{}{}:
	default:
	}
	return nil
}

// flush queues what was put in this instant; n.mu is held.
func (v *feedValues) flush(n *network) {
	for _, c := range n.conns {
		puts := c.puts
		c.puts = nil
		slices.SortStableFunc(puts, func(a, b bus.FeedItem) int {
			return cmp.Or(cmp.Compare(manifestRank(a), manifestRank(b)), strings.Compare(a.Subject, b.Subject))
		})
		for _, item := range puts {
			s := n.submit("put "+c.name+" "+item.Subject, c.lastPut.Add(1), func(uint64) { n.put(c, item) })
			c.lastPut = s.due
		}
	}
}

func manifestRank(i bus.FeedItem) int {
	if strings.Contains(i.Subject, ".manifest.") {
		return 1
	}
	return 0
}

func (n *network) put(c *conn, item bus.FeedItem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone := ""
	if item.Data == nil {
		gone = " (a tombstone)"
	}
	n.say("       %s puts %s of epoch %s at %s%s", c.name, item.Subject, item.Header[nodefeed.HeaderEpoch], item.Header[nodefeed.HeaderPosition], gone)
	n.feed.values[item.Subject] = item
	for _, w := range n.feed.watchers {
		if bus.MatchAny(w.filters, item.Subject) {
			w.order = append(slices.DeleteFunc(w.order, func(s string) bool { return s == item.Subject }), item.Subject)
			n.bring(w)
		}
	}
}

// Watch gives present values in any order, then each change; a value may come again.
func (f *connFeed) Watch(ctx context.Context, filters ...string) iter.Seq2[bus.FeedItem, error] {
	return func(yield func(bus.FeedItem, error) bool) {
		w := &watcher{conn: f.conn, filters: filters, items: make(chan bus.FeedItem, 1)}
		f.mu.Lock()
		f.feed.watchers = append(f.feed.watchers, w)
		f.present(w)
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.feed.watchers = slices.DeleteFunc(f.feed.watchers, func(o *watcher) bool { return o == w })
		}()
		for {
			select {
			case item := <-w.items:
				if !yield(item, nil) {
					return
				}
				f.mu.Lock()
				w.due = false
				f.bring(w)
				f.mu.Unlock()
			case <-ctx.Done():
				yield(bus.FeedItem{}, ctx.Err())
				return
			}
		}
	}
}

// present owes the watcher everything there is, as at a connection; n.mu is held.
func (n *network) present(w *watcher) {
	w.order = nil
	for subject := range n.feed.values {
		if bus.MatchAny(w.filters, subject) {
			w.order = append(w.order, subject)
		}
	}
	key := "present " + w.conn.name
	nth := n.seen[key]
	n.seen[key]++
	slices.SortFunc(w.order, func(a, b string) int {
		return cmp.Or(cmp.Compare(n.chance(key, nth, a), n.chance(key, nth, b)), strings.Compare(a, b))
	})
	n.bring(w)
}

// bring queues the watcher's next message; n.mu is held.
func (n *network) bring(w *watcher) {
	if w.due || len(w.order) == 0 || w.conn.dead {
		return
	}
	w.due = true
	n.submit("bring "+w.conn.name, time.Time{}, func(nth uint64) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(w.order) == 0 {
			w.due = false
			return
		}
		subject := w.order[0]
		if n.calm || n.chance("twice", w.conn.name, nth)%10 != 0 {
			w.order = w.order[1:]
		}
		w.items <- n.feed.values[subject]
	})
}
