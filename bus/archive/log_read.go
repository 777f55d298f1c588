package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// A read of the stream with filters can't see by itself whether the stream was
// trimmed under it. So what it gives is held back until the stream's beginning
// was asked for again: first few events, then more at once.
const (
	firstChunk = 64
	maxChunk   = 2048
)

// Read yields the events from sequence from up to the durable end at the time of
// the call, archived or not.
func (l *Log) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		first, last, err := l.whole(ctx, from)
		if err != nil {
			yield(nil, err)
			return
		}
		r := reading{l: l, next: max(from, first), to: last, filters: filters, yield: yield}
		for r.next <= r.to {
			if !r.archived(ctx) || !r.stream(ctx) {
				return
			}
		}
	}
}

// reading is one Read: everything before next was yielded.
type reading struct {
	l       *Log
	next    uint64
	to      uint64
	filters []string
	yield   func(*events.Event, error) bool
}

func (r *reading) fail(err error) bool {
	r.yield(nil, err)
	return false
}

// archived yields what is below the stream's beginning. It reports whether to go on.
func (r *reading) archived(ctx context.Context) bool {
	hot, err := r.l.ready(ctx, r.next)
	if err != nil {
		return r.fail(err)
	}
	if r.next >= hot {
		return true
	}
	to := min(r.to, hot-1)
	for slice, err := range r.l.store.read(ctx, r.next, to, r.filters) {
		if err != nil {
			return r.fail(err)
		}
		for _, e := range slice {
			r.next = e.Sequence + 1
			if !r.yield(e, nil) {
				return false
			}
		}
	}
	if len(r.filters) == 0 && r.next != to+1 {
		return r.fail(fmt.Errorf("read from %d: the archive ends there, the stream begins at %d: %w", r.next, hot, events.ErrGone))
	}
	r.next = to + 1
	return true
}

// ready gives the stream's beginning, and makes sure that what is between next
// and that is archived.
func (l *Log) ready(ctx context.Context, next uint64) (hot uint64, err error) {
	hot, _, err = l.Log.Range(ctx)
	if err != nil || next >= hot {
		return hot, err
	}
	spans, err := l.spans(ctx, hot)
	if err != nil {
		return 0, fmt.Errorf("read from %d: %w", next, err)
	}
	if first := reaching(spans, hot); next < first {
		return 0, fmt.Errorf("read from %d: the log begins at %d: %w", next, first, events.ErrGone)
	}
	return hot, nil
}

// stream yields what is in the stream, until the end or until the stream was
// trimmed beyond next. It reports whether to go on.
func (r *reading) stream(ctx context.Context) bool {
	if r.next > r.to {
		return true
	}
	chunk, size := make([]*events.Event, 0, firstChunk), firstChunk
	for e, err := range r.l.Log.Read(ctx, r.next, r.filters...) {
		if err != nil {
			return r.fail(err)
		}
		if e.Sequence > r.to {
			break
		}
		if len(r.filters) == 0 && e.Sequence == r.next {
			r.next++
			if !r.yield(e, nil) {
				return false
			}
			continue
		}
		if chunk = append(chunk, e); len(chunk) < size && len(r.filters) > 0 {
			continue
		}
		if again, ok := r.release(ctx, chunk); !ok || again {
			return ok
		}
		chunk, size = chunk[:0], min(2*size, maxChunk)
	}
	if again, ok := r.release(ctx, chunk); !ok || again {
		return ok
	}
	r.next = r.to + 1
	return true
}

// release yields what was held back, unless the stream was trimmed beyond next:
// then it is to be read again.
func (r *reading) release(ctx context.Context, chunk []*events.Event) (again, ok bool) {
	hot, _, err := r.l.Log.Range(ctx)
	if err != nil {
		return false, r.fail(err)
	}
	if hot > r.next {
		return true, true
	}
	for _, e := range chunk {
		r.next = e.Sequence + 1
		if !r.yield(e, nil) {
			return false, false
		}
	}
	return false, true
}

// Follow is Read that goes on for ever, in slices.
func (l *Log) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		first, _, err := l.whole(ctx, from)
		if err == nil && from > 1 && from < first {
			err = fmt.Errorf("follow from %d: the log begins at %d: %w", from, first, events.ErrGone)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		f := following{l: l, next: max(from, first), filters: filters, yield: yield}
		for f.archived(ctx) && f.stream(ctx) {
		}
	}
}

// following is one Follow: everything before next was yielded.
type following struct {
	l       *Log
	next    uint64
	filters []string
	yield   func([]*events.Event, error) bool
}

func (f *following) fail(err error) bool {
	f.yield(nil, err)
	return false
}

func (f *following) archived(ctx context.Context) bool {
	hot, err := f.l.ready(ctx, f.next)
	if err != nil {
		return f.fail(err)
	}
	if f.next >= hot {
		return true
	}
	for slice, err := range f.l.store.read(ctx, f.next, hot-1, f.filters) {
		if err != nil {
			return f.fail(err)
		}
		f.next = slice[len(slice)-1].Sequence + 1
		if !f.yield(slice, nil) {
			return false
		}
	}
	if len(f.filters) == 0 && f.next != hot {
		return f.fail(fmt.Errorf("follow from %d: the archive ends there, the stream begins at %d: %w", f.next, hot, events.ErrGone))
	}
	f.next = hot
	return true
}

// stream reports whether to go on, which it does when the stream was trimmed
// beyond next.
func (f *following) stream(ctx context.Context) bool {
	for slice, err := range f.l.Log.Follow(ctx, f.next, f.filters...) {
		if err != nil && !errors.Is(err, events.ErrGone) {
			return f.fail(err)
		}
		if err != nil || !f.whole(slice) {
			hot, _, rangeErr := f.l.Log.Range(ctx)
			switch {
			case rangeErr != nil:
				return f.fail(rangeErr)
			case hot > f.next:
				return true
			case err != nil:
				return f.fail(err)
			}
		}
		f.next = slice[len(slice)-1].Sequence + 1
		if !f.yield(slice, nil) {
			return false
		}
	}
	return false
}

// whole reports whether a slice shows by itself that nothing is missing.
func (f *following) whole(slice []*events.Event) bool {
	last := slice[len(slice)-1].Sequence
	return len(f.filters) == 0 && slice[0].Sequence == f.next && last-f.next+1 == uint64(len(slice))
}

var _ bus.Log = (*Log)(nil)
