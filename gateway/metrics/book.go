package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/usage"
)

const (
	fresh   = time.Minute      // how long a report is the present
	apart   = time.Minute      // between reports that are kept as history
	history = 10 * time.Minute // how long they are kept
	most    = 32 << 20         // bytes of all reports that are history
)

// Book keeps what the nodes told lately.
type Book struct {
	bus bus.Bus
	now func() time.Time

	mu    sync.Mutex
	nodes map[string][]*told // oldest first; the last is the newest
	bytes int
	limit int // of bytes, at which history goes
	swept time.Time
}

// told is one report, and when it came.
type told struct {
	at   time.Time
	data []byte

	once   sync.Once
	report *usage.Report
	pods   map[string]*usage.Pod // by uid
	err    error
}

// NewBook makes a Book that hears nothing until it runs.
func NewBook(b bus.Bus, now func() time.Time) *Book {
	return &Book{bus: b, now: now, nodes: map[string][]*told{}, limit: most, swept: now()}
}

// Run listens until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	err := b.bus.Subscribe(ctx, usage.All, func(m bus.Message) {
		if node, err := usage.NodeOf(m.Subject); err == nil {
			b.hear(node, m.Data)
		}
	})
	if err != nil {
		return fmt.Errorf("listen to what nodes use: %w", err)
	}
	<-ctx.Done()
	return ctx.Err()
}

// hear keeps a report, and of those before it one a minute.
func (b *Book) hear(node string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	all := b.nodes[node]
	if n := len(all); n > 1 && all[n-1].at.Sub(all[n-2].at) < apart {
		b.bytes -= len(all[n-1].data)
		all = all[:n-1]
	} else if n > 0 { // it becomes history: whoever asks for it decodes it anew
		all[n-1] = &told{at: all[n-1].at, data: all[n-1].data}
	}
	b.bytes += len(data)
	b.nodes[node] = b.since(append(all, &told{at: now, data: data}), now.Add(-history))
	if now.Sub(b.swept) >= apart || b.bytes >= b.limit {
		b.sweep(now)
	}
}

// sweep drops what is too old, and all history when there is too much. b.mu is held.
func (b *Book) sweep(now time.Time) {
	b.swept = now
	from := now.Add(-history)
	if b.bytes >= b.limit {
		from = now // only the newest of each node stay
	}
	for name, all := range b.nodes {
		if now.Sub(all[len(all)-1].at) > history {
			b.since(all, now)
			b.bytes -= len(all[len(all)-1].data)
			delete(b.nodes, name) // it is gone, or silent
			continue
		}
		b.nodes[name] = b.since(all, from)
	}
	b.limit = max(most, b.bytes+b.bytes/2) // the newest alone may be as much
}

// since drops the reports that came before, but for the newest. b.mu is held.
func (b *Book) since(all []*told, from time.Time) []*told {
	for len(all) > 1 && all[0].at.Before(from) {
		b.bytes -= len(all[0].data)
		all[0] = nil
		all = all[1:]
	}
	return all
}

// of gives what a node told last before a time, at most fresh before it; nil: nothing.
func (b *Book) of(node string, at time.Time) *told {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.nodes[node]
	for i := len(all) - 1; i >= 0; i-- {
		if age := at.Sub(all[i].at); age >= 0 {
			if age > fresh+apart*time.Duration(min(1, len(all)-1-i)) {
				return nil
			}
			return all[i]
		}
	}
	return nil
}

// decode gives the report, or nil if it is none.
func (t *told) decode() *usage.Report {
	t.once.Do(func() {
		if t.report, t.err = usage.Decode(t.data); t.err != nil {
			return
		}
		t.pods = make(map[string]*usage.Pod, len(t.report.Pods))
		for i := range t.report.Pods {
			t.pods[t.report.Pods[i].UID] = &t.report.Pods[i]
		}
	})
	return t.report
}

// pod gives what a pod used, or nil.
func (t *told) pod(uid string) *usage.Pod {
	if t == nil || t.decode() == nil {
		return nil
	}
	return t.pods[uid]
}
