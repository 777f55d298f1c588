package projections

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"

	"github.com/reckon-project/reckon/events"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	decodeChunk = 256     // objects that a worker decodes at once
	wholeRead   = 1 << 20 // bytes that are made room for at once
	maxEncoded  = 1 << 28 // bytes of one string or object: more is damage
)

// Decode reads what Encode wrote. It fails with an error of class
// events.ErrInvalid on anything else, or a newer form. The objects are decoded
// on all cores.
func Decode(ctx context.Context, r io.Reader) (*Snapshot, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 1<<16)}
	return d.snapshot(ctx)
}

func (d *decoder) snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := d.state(ctx)
	if err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	return &Snapshot{s.freeze()}, nil
}

// decoder remembers the first error.
type decoder struct {
	r       *bufio.Reader
	present *Snapshot // to share objects with, or nil
	err     error
}

// record is an object whose value isn't decoded yet.
type record struct {
	object *events.Object
	data   []byte
}

func (d *decoder) state(ctx context.Context) (*state, error) {
	d.expect(encodedMagic)
	var h encodedHeader
	if header := d.bytes(); d.err == nil {
		if err := json.Unmarshal(header, &h); err != nil {
			return nil, fmt.Errorf("%w: header: %v", events.ErrInvalid, err)
		}
	}
	if h.Format > FormatVersion {
		return nil, fmt.Errorf("%w: it has format %d, this program reads up to %d: upgrade reckon", events.ErrInvalid, h.Format, FormatVersion)
	}
	s := newState()
	s.position, s.last, s.time, s.voids, s.first = h.Position, h.Last, h.Time, h.Voids, h.First
	if h.Epochs != nil {
		s.epochs = h.Epochs
	}
	if s.chained = h.Position; h.Chain != nil { // format 1 had none: it begins here
		s.chain, s.chained = *h.Chain, h.Chained
	}
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	var objects [][]*events.Object
	for range h.Tables {
		if d.err != nil {
			break
		}
		read := d.table(s, func(chunk []record) {
			workers.Go(func() error { return decodeValues(ctx, chunk) })
		})
		objects = append(objects, read)
	}
	d.expect(encodedEnd)
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	if d.err != nil {
		return nil, d.err
	}
	for _, table := range objects {
		for _, o := range table {
			s.load(o)
		}
	}
	return s, nil
}

// load adds a decoded object; they come in order of their keys.
func (s *state) load(o *events.Object) {
	t, key := s.table(resource{o.Key.Group, o.Key.Resource}), keyOf(o.Key)
	t.objects.Load(key, o)
	s.index(t, key, nil, o)
}

// table reads one table: the tombstones go to s, the objects are returned, and
// given to values in chunks.
func (d *decoder) table(s *state, values func([]record)) []*events.Object {
	group, res := d.string(), d.string()
	n, tombs := d.number(), d.number()
	if d.err != nil {
		return nil
	}
	var out []*events.Object
	var chunk []record
	namespace := ""
	for ; n > 0 && d.err == nil; n-- {
		o := d.object(group, res, &namespace)
		for counters := d.number(); counters > 0 && d.err == nil; counters-- {
			reporter := d.string()
			o.Counters = append(o.Counters, events.ReporterCounter{
				Reporter: reporter, Counter: events.Counter{Incarnation: d.number(), N: d.number()},
			})
		}
		if have := d.shared(o); have != nil {
			d.skip()
			out = append(out, have)
		} else {
			out, chunk = append(out, o), append(chunk, record{o, d.bytes()})
		}
		if d.err == nil && (len(chunk) == decodeChunk || n == 1) {
			values(chunk)
			chunk = nil
		}
	}
	if tombs > 0 && d.err == nil {
		t := s.table(resource{group, res})
		for ; tombs > 0 && d.err == nil; tombs-- {
			o := d.object(group, res, &namespace)
			t.tombs.Load(keyOf(o.Key), o)
		}
	}
	return out
}

// shared is the present's object if it is the one that comes.
func (d *decoder) shared(o *events.Object) *events.Object {
	if d.present == nil || d.err != nil {
		return nil
	}
	have := d.present.Get(o.Key)
	if have == nil || have.Version != o.Version || have.Decision != o.Decision {
		return nil
	}
	return have
}

// skip passes over a byte string.
func (d *decoder) skip() {
	if n := d.number(); d.err == nil {
		_, err := d.r.Discard(int(min(n, maxEncoded)))
		d.fail(err)
	}
}

// object reads what objects and tombstones have in common.
func (d *decoder) object(group, res string, namespace *string) *events.Object {
	if ns := d.string(); ns != *namespace {
		*namespace = ns
	}
	key := events.Key{Group: group, Resource: res, Namespace: *namespace, Name: d.string()}
	return &events.Object{Key: key, Version: d.number(), Decision: d.number()}
}

func decodeValues(ctx context.Context, chunk []record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, r := range chunk {
		o := r.object
		value, err := events.DecodeShared(r.data)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Key, err)
		}
		m, ok := value.(metav1.Object)
		if !ok {
			return fmt.Errorf("%w: %s: %T has no metadata", events.ErrInvalid, o.Key, value)
		}
		m.SetResourceVersion(strconv.FormatUint(o.Version, 10))
		o.Value = value
	}
	return nil
}

func (d *decoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err = fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
}

func (d *decoder) number() uint64 {
	if d.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(d.r)
	d.fail(err)
	return n
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > maxEncoded {
		d.fail(fmt.Errorf("a field of %d bytes", n))
	}
	if d.err != nil {
		return nil
	}
	if n > wholeRead { // believe a large length only as far as there are bytes
		b, err := io.ReadAll(io.LimitReader(d.r, int64(n)))
		if err == nil && uint64(len(b)) < n {
			err = io.ErrUnexpectedEOF
		}
		d.fail(err)
		return b
	}
	b := make([]byte, n)
	_, err := io.ReadFull(d.r, b)
	d.fail(err)
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) expect(want string) {
	if d.err != nil {
		return
	}
	got := make([]byte, len(want))
	_, err := io.ReadFull(d.r, got)
	d.fail(err)
	if err == nil && string(got) != want {
		d.fail(fmt.Errorf("%q where %q should be", got, want))
	}
}
