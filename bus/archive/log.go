package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
	settled bool
}

// NewLog makes a log of a stream and the segments in a store.
func NewLog(stream bus.Log, store *Store) *Log {
	return &Log{Log: stream, store: store, size: segmentEvents}
}

// Stream is the part that isn't archived.
func (l *Log) Stream() bus.Log { return l.Log }

// Store is the archive.
func (l *Log) Store() *Store { return l.store }

// Range gives the first sequence kept, in the archive or the stream, and the
// last durable one.
func (l *Log) Range(ctx context.Context) (first, last uint64, err error) {
	hot, last, err := l.Log.Range(ctx)
	if err != nil {
		return 0, 0, err
	}
	spans, err := l.spans(ctx, hot)
	if err != nil {
		return 0, 0, err
	}
	return reaching(spans, hot), last, nil
}

// spans lists the segments; anew when the stream begins elsewhere than before,
// since another process may have moved events.
func (l *Log) spans(ctx context.Context, hot uint64) ([]Span, error) {
	l.mu.Lock()
	again := !l.settled || l.hot != hot
	l.mu.Unlock()
	spans, err := l.store.Spans(ctx, again)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hot, l.settled = hot, true
	return spans, nil
}

// Get gives the event at sequence.
func (l *Log) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	e, err := l.Log.Get(ctx, sequence)
	if !errors.Is(err, events.ErrGone) || sequence == 0 {
		return e, err
	}
	first, _, err := l.Range(ctx)
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
	first, _, rangeErr := l.Range(ctx)
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
