package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/reckon-project/reckon/events"
)

// read yields the archived events from from to to that match filters, in slices
// of a frame at most. Of segments that overlap each event comes once.
func (s *Store) read(ctx context.Context, from, to uint64, filters []string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		spans, err := s.Spans(ctx, false)
		if err != nil {
			yield(nil, err)
			return
		}
		want := wantedKeys(filters)
		for _, x := range spans {
			if x.Last < from || x.First > to {
				continue
			}
			if x.First > from && len(filters) == 0 {
				yield(nil, fmt.Errorf("read the archive: events %d to %d are in no segment: %w", from, x.First-1, events.ErrGone))
				return
			}
			for slice, err := range s.segment(ctx, x, from, to, want, filters) {
				if !yield(slice, err) || err != nil {
					return
				}
			}
			from = x.Last + 1
		}
	}
}

// segment is read for one segment.
func (s *Store) segment(ctx context.Context, x Span, from, to uint64, want wanted, filters []string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		i, err := s.index(ctx, x)
		if err != nil {
			yield(nil, s.gone(x, err))
			return
		}
		blob := blobReader{ctx: ctx, s: s, span: x}
		defer blob.close()
		for n := range i.Frames {
			f := &i.Frames[n]
			if f.Last < from || f.First > to || !want.maybeIn(f.Keys) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			content, err := blob.frame(f, n)
			if err != nil {
				yield(nil, s.gone(x, err))
				return
			}
			news, err := f.events(content, from, to, filters)
			if newer := (*events.NewerEnvelope)(nil); err != nil && !errors.As(err, &newer) {
				err = &Damaged{Segment: x.String(), Frame: n, First: f.First, Last: f.Last, Err: err}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if len(news) > 0 && !yield(news, nil) {
				return
			}
		}
	}
}

// gone makes a blob that isn't there any more an error of class events.ErrGone:
// the history kept begins later now.
func (s *Store) gone(x Span, err error) error {
	if errors.Is(err, events.ErrNotFound) {
		s.forget()
		return fmt.Errorf("archive segment %s: %w", x, events.ErrGone)
	}
	return err
}

// last gives the newest archived event on exactly subject, nil if there is none
// from first on.
func (s *Store) last(ctx context.Context, first uint64, subject string) (*events.Event, error) {
	spans, err := s.Spans(ctx, false)
	if err != nil {
		return nil, err
	}
	filters := []string{subject}
	want := wantedKeys(filters)
	for _, x := range slices.Backward(spans) {
		if x.Last < first {
			break
		}
		i, err := s.index(ctx, x)
		if err != nil {
			return nil, s.gone(x, err)
		}
		for _, f := range slices.Backward(i.Frames) {
			if !want.maybeIn(f.Keys) {
				continue
			}
			var found *events.Event
			for news, err := range s.segment(ctx, x, f.First, f.Last, want, filters) {
				if err != nil {
					return nil, err
				}
				found = news[len(news)-1]
			}
			if found != nil {
				return found, nil
			}
		}
	}
	return nil, nil
}

// blobReader reads frames of one segment in order, and opens the blob only when
// one isn't in the cache.
type blobReader struct {
	ctx    context.Context
	s      *Store
	span   Span
	blob   io.ReadCloser
	offset int64
}

func (b *blobReader) close() {
	if b.blob != nil {
		b.blob.Close() //nolint:errcheck // it was only read
	}
}

// frame gives the n-th frame's content.
func (b *blobReader) frame(f *frame, n int) ([]byte, error) {
	if content := b.s.cachedFrame(b.span, n); content != nil {
		return content, nil
	}
	damaged := func(err error) error {
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		return &Damaged{Segment: b.span.String(), Frame: n, First: f.First, Last: f.Last, Err: err}
	}
	if b.blob == nil {
		blob, err := b.s.blobs.Get(b.ctx, segmentPrefix+b.span.String())
		if err != nil {
			return nil, err
		}
		b.blob = blob
	}
	if seeker, ok := b.blob.(io.Seeker); ok {
		if _, err := seeker.Seek(f.Offset, io.SeekStart); err != nil {
			return nil, damaged(err)
		}
	} else if _, err := io.CopyN(io.Discard, b.blob, f.Offset-b.offset); err != nil {
		return nil, damaged(err)
	}
	raw := make([]byte, f.Length)
	if _, err := io.ReadFull(b.blob, raw); err != nil {
		return nil, damaged(err)
	}
	b.offset = f.Offset + f.Length
	content, err := f.open(raw[frameHeader:])
	if err != nil {
		return nil, damaged(err)
	}
	b.s.keepFrame(b.span, n, content)
	return content, nil
}

func (s *Store) cachedFrame(x Span, n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.frames {
		if c.span == x && c.number == n {
			return c.content
		}
	}
	return nil
}

func (s *Store) keepFrame(x Span, n int, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frames) == cachedFrames {
		s.frames = slices.Delete(s.frames, 0, 1)
	}
	s.frames = append(s.frames, cachedFrame{x, n, content})
}

// put stores the segment that write writes, made durable, read back and
// compared, and then its index.
func (s *Store) put(ctx context.Context, x Span, write func(*Writer) error) (Manifest, error) {
	fail := func(err error) (Manifest, error) {
		return Manifest{}, &NotStored{Span: x, Err: err}
	}
	r, w := io.Pipe()
	var manifest Manifest
	var written index
	done := make(chan struct{})
	go func() {
		defer close(done)
		z := NewWriter(w)
		err := write(z)
		if err == nil {
			manifest, err = z.Close()
		}
		written = z.index
		w.CloseWithError(err) // nil: the end
	}()
	err := s.blobs.Put(ctx, segmentPrefix+x.String(), r)
	r.CloseWithError(io.ErrClosedPipe) // a Put that failed reads no more
	<-done
	if err != nil {
		return fail(err)
	}
	if manifest.First != x.First || manifest.Last != x.Last {
		return fail(fmt.Errorf("%w: events %d to %d were there", events.ErrUnavailable, manifest.First, manifest.Last))
	}
	if err := s.readBack(ctx, x, manifest); err != nil {
		return fail(fmt.Errorf("it was written, but reads back wrong: %w", err))
	}
	data, err := written.encode()
	if err != nil {
		return fail(err)
	}
	name := indexPrefix + x.String()
	if err := s.blobs.Put(ctx, name, bytes.NewReader(data)); err != nil {
		return fail(err)
	}
	if back, err := s.readAll(ctx, name); err != nil || !bytes.Equal(back, data) {
		return fail(errors.Join(errors.New("its index was written, but reads back wrong"), err))
	}
	return manifest, nil
}

// readBack reads a segment from beginning to end and compares every checksum.
func (s *Store) readBack(ctx context.Context, x Span, want Manifest) error {
	blob, err := s.blobs.Get(ctx, segmentPrefix+x.String())
	if err != nil {
		return err
	}
	defer blob.Close()
	r, err := NewReader(blob, x.String())
	if err != nil {
		return err
	}
	for _, err := range r.Frames() {
		if err != nil {
			return err
		}
	}
	if got, ok := r.Manifest(); !ok || got.SHA256 != want.SHA256 || got.First != want.First || got.Last != want.Last {
		return errors.New("it is another segment")
	}
	return nil
}

// chainBefore is the running hash before an event, where it is known: at the
// log's beginning, and behind a segment that knows its own.
func (s *Store) chainBefore(ctx context.Context, sequence uint64) (c events.Chain, known bool, err error) {
	if sequence == 1 {
		return c, true, nil
	}
	spans, err := s.Spans(ctx, true)
	if err != nil {
		return c, false, err
	}
	for _, x := range spans {
		if x.Last+1 != sequence {
			continue
		}
		i, err := s.index(ctx, x)
		if d := (*Damaged)(nil); errors.As(err, &d) {
			return c, false, nil // the damage is told to who reads the segment
		}
		if err != nil {
			return c, false, err
		}
		c, known = i.after()
		return c, known, nil
	}
	return c, false, nil
}

// Size is what an archive holds.
type Size struct {
	Segments int
	Events   uint64
	Bytes    int64 // as stored, compressed
	Content  int64 // uncompressed
	Damaged  []error
}

// Size adds up the segments' indexes. Segments without a readable index are
// named in Damaged.
func (s *Store) Size(ctx context.Context) (Size, error) {
	spans, err := s.Spans(ctx, true)
	if err != nil {
		return Size{}, err
	}
	out := Size{Segments: len(spans)}
	for _, x := range spans {
		i, err := s.index(ctx, x)
		if d := (*Damaged)(nil); errors.As(err, &d) {
			out.Damaged = append(out.Damaged, err)
			continue
		}
		if err != nil {
			return out, err
		}
		out.Events += i.Count
		out.Content += i.Bytes
		last := &i.Frames[len(i.Frames)-1]
		out.Bytes += last.Offset + last.Length
	}
	return out, nil
}
