package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Log is a stream and its archive as one bus.Log. Appending goes to the stream.
type Log struct {
	bus.Log // the stream
	store   *Store
	size    uint64 // events of a segment at most
	moving  sync.Mutex

	mu      sync.Mutex
	hot     uint64 // the stream's beginning when spans was listed last
	begin   uint64 // the log's beginning then
	settled bool
	silent  bool // the archive was asked last in vain
}

// NewLog makes a log of a stream and the segments in a store.
func NewLog(stream bus.Log, store *Store) *Log {
	return &Log{Log: stream, store: store, size: segmentEvents}
}

// Stream is the part that isn't archived.
func (l *Log) Stream() bus.Log { return l.Log }

// Store is the archive.
func (l *Log) Store() *Store { return l.store }

// patience is how long Range waits for the archive, once.
const patience = 5 * time.Second

// Range gives the first sequence kept, in the archive or the stream, and the
// last durable one. Where the archive doesn't answer the first one is that of
// the last answer, or 1: who reads there is told what doesn't answer, and who
// doesn't need the archive isn't held up.
func (l *Log) Range(ctx context.Context) (first, last uint64, err error) {
	hot, last, err := l.Log.Range(ctx)
	if err != nil || hot <= 1 {
		return hot, last, err
	}
	l.mu.Lock()
	silent, begin := l.silent, max(l.begin, 1)
	l.mu.Unlock()
	if silent {
		return begin, last, nil
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	spans, err := l.spans(asking, hot)
	switch {
	case ctx.Err() != nil:
		return 0, 0, ctx.Err()
	case err != nil:
		return begin, last, nil
	}
	return reaching(spans, hot), last, nil
}

// Ask asks the archive what it holds, if it didn't say so when it was asked last.
func (l *Log) Ask(ctx context.Context) error {
	hot, _, err := l.Log.Range(ctx)
	if err != nil || hot <= 1 {
		return err
	}
	_, err = l.spans(ctx, hot)
	return err
}

// spans lists the segments; anew when the stream begins elsewhere than before,
// since another process may have moved events.
func (l *Log) spans(ctx context.Context, hot uint64) ([]Span, error) {
	l.mu.Lock()
	again := !l.settled || l.silent || l.hot != hot
	l.mu.Unlock()
	spans, err := l.store.Spans(ctx, again)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			l.silent = true
		}
		return nil, &Silent{err}
	}
	l.hot, l.begin, l.settled, l.silent = hot, reaching(spans, hot), true, false
	return spans, nil
}

// whole gives the first sequence kept, for who reads from from on: if that is in
// the stream the archive isn't asked.
func (l *Log) whole(ctx context.Context, from uint64) (first, last uint64, err error) {
	hot, last, err := l.Log.Range(ctx)
	if err != nil || hot <= max(from, 1) {
		return hot, last, err
	}
	spans, err := l.spans(ctx, hot)
	if err != nil {
		return 0, 0, fmt.Errorf("read from %d, with the log's stream beginning at %d: %w", from, hot, err)
	}
	return reaching(spans, hot), last, nil
}

// Get gives the event at sequence.
func (l *Log) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	e, err := l.Log.Get(ctx, sequence)
	if !errors.Is(err, events.ErrGone) || sequence == 0 {
		return e, err
	}
	first, _, err := l.whole(ctx, sequence)
	switch {
	case err != nil:
		return nil, fmt.Errorf("get event %d: %w", sequence, err)
	case sequence < first:
		return nil, fmt.Errorf("get event %d: %w: the log begins at %d", sequence, events.ErrGone, first)
	}
	for news, err := range l.store.read(ctx, sequence, sequence, nil) {
		if err != nil {
			return nil, fmt.Errorf("get event %d: %w", sequence, err)
		}
		return news[0], nil
	}
	return nil, fmt.Errorf("get event %d: %w", sequence, events.ErrNotFound)
}

// Last gives the newest event on exactly subject. For a subject that the stream
// doesn't have the archive's indexes are searched.
func (l *Log) Last(ctx context.Context, subject string) (*events.Event, error) {
	e, err := l.Log.Last(ctx, subject)
	if !errors.Is(err, events.ErrNotFound) {
		return e, err
	}
	first, _, rangeErr := l.whole(ctx, 0)
	if rangeErr != nil {
		return nil, fmt.Errorf("last event on %s: %w", subject, rangeErr)
	}
	old, oldErr := l.store.last(ctx, first, subject)
	switch {
	case oldErr != nil:
		return nil, fmt.Errorf("last event on %s: %w", subject, oldErr)
	case old == nil:
		return nil, err
	}
	return old, nil
}
