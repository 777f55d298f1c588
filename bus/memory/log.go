package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

type log struct {
	now      func() time.Time
	lastOnly bool // keeps the last event of each subject only

	mu      sync.Mutex
	first   uint64            // sequence of stored[0]
	stored  []*events.Event   // nil: replaced by a newer one
	last    map[string]uint64 // by subject
	changed chan struct{}     // closed on the next append
}

func newLog(now func() time.Time, lastOnly bool) *log {
	return &log{now: now, lastOnly: lastOnly, first: 1, last: map[string]uint64{}, changed: make(chan struct{})}
}

func (l *log) Append(ctx context.Context, e bus.Entry) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	seqs, err := l.append([]bus.Entry{e})
	if err != nil {
		return 0, err
	}
	return seqs[0], nil
}

func (l *log) Start(e bus.Entry) *bus.Pending {
	p, complete := bus.NewPending()
	complete(l.Append(context.Background(), e))
	return p
}

func (l *log) AppendBatch(ctx context.Context, batch []bus.Entry) ([]uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, nil
	}
	if len(batch) > bus.MaxBatch {
		return nil, fmt.Errorf("%w: a batch of %d events, at most %d go together", events.ErrInvalid, len(batch), bus.MaxBatch)
	}
	return l.append(batch)
}

func (l *log) append(batch []bus.Entry) ([]uint64, error) {
	for _, e := range batch {
		if err := bus.CheckEntry(e); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range batch {
		if e.Expect == nil {
			continue
		}
		if last := l.last[e.Event.Subject()]; last != *e.Expect {
			return nil, &bus.Conflict{Subject: e.Event.Subject(), Expected: *e.Expect, Last: last}
		}
	}
	seqs := make([]uint64, len(batch))
	for i, e := range batch {
		seq := l.first + uint64(len(l.stored))
		// What a reader gets went through the encoding, as on a real bus.
		stored, err := events.Parse(e.Event.Subject(), e.Event.Header(), e.Event.Data)
		if err != nil {
			return nil, err
		}
		stored.Sequence, stored.Stored = seq, l.now()
		if old, ok := l.last[e.Event.Subject()]; ok && l.lastOnly {
			l.stored[old-l.first] = nil
		}
		l.stored = append(l.stored, stored)
		l.last[e.Event.Subject()] = seq
		seqs[i] = seq
		if e.TTL > 0 {
			time.AfterFunc(e.TTL, func() { l.expire(stored) })
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return seqs, nil
}

func (l *log) expire(e *events.Event) {
	gone := &events.Event{Prefix: e.Prefix, Key: e.Key, ID: e.ID + "-expired", Source: "bus", Type: events.Deleted, Time: l.now(), Actor: "expiry"}
	l.append([]bus.Entry{{Event: gone, Expect: bus.Expect(e.Sequence)}}) //nolint:errcheck // a conflict means that it was renewed
}

func (l *log) Range(context.Context) (uint64, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.first + uint64(len(l.stored)) - 1, nil
}

func (l *log) Get(_ context.Context, sequence uint64) (*events.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.first + uint64(len(l.stored)) - 1
	switch {
	case sequence < l.first:
		return nil, fmt.Errorf("get event %d: %w: the log begins at %d", sequence, events.ErrGone, l.first)
	case sequence > last || l.stored[sequence-l.first] == nil:
		return nil, fmt.Errorf("get event %d: %w: the log ends at %d", sequence, events.ErrNotFound, last)
	}
	return l.stored[sequence-l.first], nil
}

func (l *log) Last(_ context.Context, subject string) (*events.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, ok := l.last[subject]
	if !ok || seq < l.first {
		return nil, fmt.Errorf("last event on %s: %w", subject, events.ErrNotFound)
	}
	return l.stored[seq-l.first], nil
}

func (l *log) Trim(_ context.Context, before uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = min(before, l.first+uint64(len(l.stored)))
	if before <= l.first {
		return nil
	}
	l.stored = l.stored[before-l.first:]
	l.first = before
	for subject, seq := range l.last {
		if seq < before {
			delete(l.last, subject)
		}
	}
	return nil
}

// snapshot is a view of stored that stays as it is; l.mu is held.
func (l *log) snapshot() []*events.Event {
	if l.lastOnly {
		return slices.Clone(l.stored)
	}
	return l.stored
}

func (l *log) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		l.mu.Lock()
		first, stored := l.first, l.snapshot()
		l.mu.Unlock()
		from := max(from, first)
		for i := from - first; i < uint64(len(stored)); i++ {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if e := stored[i]; e != nil && bus.MatchAny(filters, e.Subject()) && !yield(e, nil) {
				return
			}
		}
	}
}

func (l *log) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		next := max(from, 1)
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			l.mu.Lock()
			first, stored, changed := l.first, l.snapshot(), l.changed
			l.mu.Unlock()
			if next < first {
				if next > 1 || from > 1 {
					yield(nil, fmt.Errorf("follow from %d: the log begins at %d: %w", next, first, events.ErrGone))
					return
				}
				next = first
			}
			var batch []*events.Event
			end := first + uint64(len(stored))
			for ; next < end && len(batch) < 512; next++ {
				if e := stored[next-first]; e != nil && bus.MatchAny(filters, e.Subject()) {
					batch = append(batch, e)
				}
			}
			if len(batch) > 0 {
				if !yield(batch, nil) {
					return
				}
				continue
			}
			if next < end {
				continue
			}
			select {
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			case <-changed:
			}
		}
	}
}
