package projections

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/reckon-project/reckon/events"
)

// The encoded form of a state, all numbers as uvarints, strings and byte
// strings after their length:
//
//	magic
//	header            JSON
//	per table         group, resource, number of objects, of tombstones
//	  per object      namespace, name, version, decision, counters, JSON
//	  per tombstone   the same, without counters and JSON
//	end
const (
	encodedMagic = "RECKON-STATE\n"
	encodedEnd   = "END\n"
	// FormatVersion is the newest encoded form that this program reads.
	// Format 1 had no chain.
	FormatVersion = 2
)

// encodedHeader is what the state holds beside its tables.
type encodedHeader struct {
	Format   int               `json:"format"`
	Position uint64            `json:"position"`
	Last     string            `json:"last,omitempty"`
	Time     time.Time         `json:"time"`
	Voids    uint64            `json:"voids"`
	First    uint64            `json:"first,omitempty"`
	Chain    *events.Chain     `json:"chain,omitempty"`
	Chained  uint64            `json:"chained,omitempty"` // the position that the chain begins after
	Epochs   map[string]uint64 `json:"epochs,omitempty"`
	Tables   int               `json:"tables"`
}

// Encode writes the state. The same log folded to the same position gives the
// same bytes, whatever checkpoint the fold began from.
func (s *Snapshot) Encode(w io.Writer) error {
	var objects events.Encoder
	return s.encode(w, func(o *events.Object) ([]byte, error) { return objects.Encode(o.Value) })
}

// encode is Encode with another way to come to an object's JSON.
func (s *Snapshot) encode(w io.Writer, value func(*events.Object) ([]byte, error)) error {
	e := &encoder{w: bufio.NewWriterSize(w, 1<<16), value: value}
	tables := s.s.sorted()
	header, err := json.Marshal(encodedHeader{
		Format: FormatVersion, Position: s.s.position, Last: s.s.last, Time: s.s.time.UTC(),
		Voids: s.s.voids, First: s.s.first,
		Chain: &s.s.chain, Chained: s.s.chained, Epochs: s.s.epochs, Tables: len(tables),
	})
	if err != nil {
		return fmt.Errorf("encode state at %d: %w", s.s.position, err)
	}
	e.raw(encodedMagic)
	e.bytes(header)
	for _, t := range tables {
		e.string(t.resource.group)
		e.string(t.resource.resource)
		e.number(uint64(t.objects.Len()))
		e.number(uint64(t.tombs.Len()))
		t.objects.Scan(func(_ string, o *events.Object) bool { return e.object(o) })
		t.tombs.Scan(func(_ string, o *events.Object) bool { return e.object(o) })
	}
	e.raw(encodedEnd)
	if e.err == nil {
		e.err = e.w.Flush()
	}
	if e.err != nil {
		return fmt.Errorf("encode state at %d: %w", s.s.position, e.err)
	}
	return nil
}

// encoder remembers the first error.
type encoder struct {
	w       *bufio.Writer
	value   func(*events.Object) ([]byte, error)
	scratch [binary.MaxVarintLen64]byte
	err     error
}

func (e *encoder) object(o *events.Object) bool {
	e.string(o.Key.Namespace)
	e.string(o.Key.Name)
	e.number(o.Version)
	e.number(o.Decision)
	if !o.Exists() {
		return e.err == nil
	}
	e.number(uint64(len(o.Counters)))
	for _, c := range o.Counters {
		e.string(c.Reporter)
		e.number(c.Counter.Incarnation)
		e.number(c.Counter.N)
	}
	data, err := e.value(o)
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("%s: %w", o.Key, err)
	}
	e.bytes(data)
	return e.err == nil
}

func (e *encoder) number(n uint64) {
	if e.err == nil {
		_, e.err = e.w.Write(e.scratch[:binary.PutUvarint(e.scratch[:], n)])
	}
}

func (e *encoder) raw(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *encoder) string(s string) {
	e.number(uint64(len(s)))
	e.raw(s)
}

func (e *encoder) bytes(b []byte) {
	e.number(uint64(len(b)))
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}
