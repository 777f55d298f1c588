package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// A segment is two blobs. It exists once the second one, its index, does.
const (
	segmentPrefix = "archive/segment/"
	indexPrefix   = "archive/index/"
)

const (
	// segmentEvents is how many events a segment of the archive holds at most:
	// the object store gives whole blobs only, so a small one is read faster.
	segmentEvents = 10_000
	cachedIndexes = 16 << 20 // bytes, about
	cachedFrames  = 4
)

// Span names a segment by the sequences of its first and last event.
type Span struct{ First, Last uint64 }

func (s Span) String() string { return fmt.Sprintf("%020d-%020d", s.First, s.Last) }

// Store is the segments in a blob store.
type Store struct {
	blobs bus.Blobs

	mu      sync.Mutex
	spans   []Span // by First; none lies within another
	listed  bool
	indexes []*cachedIndex // least recently used first
	weight  int
	frames  []cachedFrame // least recently used first
}

type cachedIndex struct {
	span  Span
	index *index
}

type cachedFrame struct {
	span    Span
	number  int
	content []byte
}

// NewStore gives the segments in blobs.
func NewStore(blobs bus.Blobs) *Store { return &Store{blobs: blobs} }

// Spans lists the segments, oldest first. Segments may overlap where two
// processes archived at once. again asks the blob store even if it was asked before.
func (s *Store) Spans(ctx context.Context, again bool) ([]Span, error) {
	s.mu.Lock()
	if s.listed && !again {
		defer s.mu.Unlock()
		return s.spans, nil
	}
	s.mu.Unlock()
	names, err := s.blobs.List(ctx, indexPrefix)
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	spans := tidy(parseSpans(names, indexPrefix))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans, s.listed = spans, true
	return spans, nil
}

func parseSpans(names []string, prefix string) []Span {
	var out []Span
	for _, name := range names {
		var x Span
		text := strings.TrimPrefix(name, prefix)
		if _, err := fmt.Sscanf(text, "%d-%d", &x.First, &x.Last); err == nil && x.String() == text && x.First > 0 && x.First <= x.Last {
			out = append(out, x)
		}
	}
	return out
}

// tidy sorts spans and drops those that lie within another.
func tidy(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int {
		if a.First != b.First {
			if a.First < b.First {
				return -1
			}
			return 1
		}
		if a.Last > b.Last { // the longer one first
			return -1
		}
		return 1
	})
	var out []Span
	for _, x := range spans {
		if len(out) == 0 || x.Last > out[len(out)-1].Last {
			out = append(out, x)
		}
	}
	return out
}

// reaching is the first sequence of the segments that reach end without a gap;
// end itself if there is none. end is the first sequence kept elsewhere.
func reaching(spans []Span, end uint64) uint64 {
	first := end
	for i := len(spans) - 1; i >= 0; i-- {
		if spans[i].Last+1 < first {
			break
		}
		first = min(first, spans[i].First)
	}
	return first
}

// forget drops the list, after a segment that it names wasn't there.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = false
}

// Manifest is that of one segment.
func (s *Store) Manifest(ctx context.Context, x Span) (Manifest, error) {
	i, err := s.index(ctx, x)
	if err != nil {
		return Manifest{}, err
	}
	return i.Manifest, nil
}

// index reads a segment's index, or takes it from the cache. If the blob is
// damaged the index is read from the segment's own footer.
func (s *Store) index(ctx context.Context, x Span) (*index, error) {
	if i := s.cached(x); i != nil {
		return i, nil
	}
	data, err := s.readAll(ctx, indexPrefix+x.String())
	if err != nil {
		return nil, err
	}
	i, err := decodeIndex(data)
	if err != nil && !errors.Is(err, events.ErrInvalid) {
		i, err = s.footer(ctx, x)
	}
	if err == nil && (i.First != x.First || i.Last != x.Last) {
		err = fmt.Errorf("its index is that of %d to %d", i.First, i.Last)
	}
	if err != nil {
		return nil, &Damaged{Segment: x.String(), Frame: -1, First: x.First, Last: x.Last, Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexes = append(s.indexes, &cachedIndex{x, i})
	s.weight += i.weight()
	for s.weight > cachedIndexes && len(s.indexes) > 1 {
		s.weight -= s.indexes[0].index.weight()
		s.indexes = slices.Delete(s.indexes, 0, 1)
	}
	return i, nil
}

func (s *Store) cached(x Span) *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.indexes, func(c *cachedIndex) bool { return c.span == x })
	if n < 0 {
		return nil
	}
	c := s.indexes[n]
	s.indexes = append(slices.Delete(s.indexes, n, n+1), c)
	return c.index
}

// footer reads a segment to its end for the index there.
func (s *Store) footer(ctx context.Context, x Span) (*index, error) {
	blob, err := s.blobs.Get(ctx, segmentPrefix+x.String())
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	r, err := NewReader(blob, x.String())
	if err != nil {
		return nil, err
	}
	for _, err := range r.Frames() {
		if d := (*Damaged)(nil); err != nil && !errors.As(err, &d) {
			return nil, err
		}
	}
	if r.index == nil {
		return nil, errors.New("its index and its footer can't be read")
	}
	return r.index, nil
}

func (s *Store) readAll(ctx context.Context, name string) ([]byte, error) {
	blob, err := s.blobs.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	defer blob.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(blob, maxFooter)); err != nil {
		return nil, fmt.Errorf("read the archive: %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// remove deletes a segment, its index first.
func (s *Store) remove(ctx context.Context, x Span) error {
	for _, prefix := range []string{indexPrefix, segmentPrefix} {
		if err := s.blobs.Delete(ctx, prefix+x.String()); err != nil {
			return fmt.Errorf("delete archive segment %s: %w", x, err)
		}
	}
	return nil
}
