package archive

import (
	"context"
	"fmt"
)

// Move brings the stream's events below before into the archive and removes
// them from the stream. On an error nothing is lost: what is archived already is
// not archived again by the next Move.
func (l *Log) Move(ctx context.Context, before uint64) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	hot, last, err := l.Log.Range(ctx)
	if err != nil {
		return fmt.Errorf("archive the log below %d: %w", before, err)
	}
	before = min(before, last+1)
	spans, err := l.store.Spans(ctx, true)
	if err != nil {
		return &NotStored{Span: Span{First: hot, Last: max(hot, before-1)}, Err: err}
	}
	from := hot
	for _, x := range spans {
		if x.First <= from && x.Last >= from {
			from = x.Last + 1
		}
	}
	for from < before {
		x := Span{First: from, Last: min(from+l.size, before) - 1}
		if err := l.put(ctx, x); err != nil {
			return err
		}
		from = x.Last + 1
	}
	if spans, err = l.store.Spans(ctx, true); err != nil {
		return err
	}
	if err := l.sweep(ctx, spans); err != nil {
		return err
	}
	if before <= hot {
		return nil
	}
	return l.Log.Trim(ctx, before)
}

// put archives one span of the stream.
func (l *Log) put(ctx context.Context, x Span) error {
	chain, known, err := l.store.chainBefore(ctx, x.First)
	if err != nil {
		return err
	}
	_, err = l.store.put(ctx, x, func(z *Writer) error {
		if known {
			z.Continue(chain)
		}
		for e, err := range l.Log.Read(ctx, x.First) {
			if err != nil {
				return err
			}
			if e.Sequence > x.Last {
				break
			}
			if err := z.Add(e); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// sweep deletes what a crash left of segments: files without an index, and
// segments that lie within another.
func (l *Log) sweep(ctx context.Context, spans []Span) error {
	if len(spans) == 0 {
		return nil
	}
	end := spans[len(spans)-1].Last
	keep := make(map[Span]bool, len(spans))
	for _, x := range spans {
		keep[x] = true
	}
	for _, prefix := range []string{indexPrefix, segmentPrefix} {
		names, err := l.store.blobs.List(ctx, prefix)
		if err != nil {
			return fmt.Errorf("list the archive: %w", err)
		}
		for _, x := range parseSpans(names, prefix) {
			if !keep[x] && x.Last <= end { // beyond the end another process may be at work
				if err := l.store.remove(ctx, x); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Trim removes the events below before from the stream, and the segments that
// end below it from the archive: they are gone. A segment goes as a whole.
func (l *Log) Trim(ctx context.Context, before uint64) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	hot, _, err := l.Log.Range(ctx)
	if err != nil {
		return fmt.Errorf("trim the log below %d: %w", before, err)
	}
	if before > hot {
		if err := l.Log.Trim(ctx, before); err != nil {
			return err
		}
	}
	spans, err := l.store.Spans(ctx, true)
	if err != nil {
		return err
	}
	for _, x := range spans { // oldest first: what remains has no gap
		if x.Last >= before {
			break
		}
		if err := l.store.remove(ctx, x); err != nil {
			return err
		}
	}
	_, err = l.store.Spans(ctx, true)
	return err
}
