package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/reckon-project/reckon/events"
)

// Writer writes a segment: Add every event in order, then Close.
type Writer struct {
	w       io.Writer
	offset  int64
	index   index
	content []byte
	open    frame
	keys    keySet
	before  place
	chain   *events.Chain // after the last event
	err     error
}

// NewWriter begins a segment on w.
func NewWriter(w io.Writer) *Writer {
	z := &Writer{w: w, keys: keySet{}}
	z.index.Format = Format
	z.write(head)
	return z
}

// Add takes the next event. Its sequence is one more than that of the event
// before, else the error is of class events.ErrInvalid.
func (z *Writer) Add(e *events.Event) error {
	if z.err != nil {
		return z.err
	}
	if z.index.Count > 0 && e.Sequence != z.index.Last+1 {
		return fmt.Errorf("%w: event %d follows event %d in a segment: one is missing", events.ErrInvalid, e.Sequence, z.index.Last)
	}
	stored := e.Stored.UTC()
	if len(z.content) == 0 {
		z.open = frame{First: e.Sequence, Begin: stored}
		z.before = place{sequence: e.Sequence - 1}
	}
	content, err := appendRecord(z.content, &z.before, e)
	if err != nil {
		return err
	}
	if len(content) > maxContent {
		return fmt.Errorf("%w: event %d is too large for a segment", events.ErrInvalid, e.Sequence)
	}
	z.content = content
	z.keys.add(e.Subject())
	z.open.Last, z.open.End = e.Sequence, stored
	z.open.Count++
	if z.index.Count == 0 {
		z.index.First, z.index.Begin = e.Sequence, stored
	}
	z.index.Last, z.index.End = e.Sequence, stored
	z.index.Count++
	if z.chain != nil {
		*z.chain = z.chain.Next(e.Digest())
	}
	if z.open.Count == frameEvents || len(z.content) >= frameContent {
		z.flush()
	}
	return z.err
}

// Continue says what the running hash over the log is before the first event
// (zero before the log's first). With it the manifest says so for both ends.
func (z *Writer) Continue(c events.Chain) {
	z.index.Chain = &Chain{Begin: hex.EncodeToString(c[:])}
	z.chain = &c
}

func (z *Writer) flush() {
	if len(z.content) == 0 {
		return
	}
	z.open.Offset = z.offset
	z.open.Keys = z.keys.sorted()
	z.write(encodeFrame(&z.open, z.content))
	z.index.Frames = append(z.index.Frames, z.open)
	z.index.Bytes += z.open.Bytes
	z.content = z.content[:0]
	clear(z.keys)
}

// Close ends the segment with its footer. A segment without an event is an
// error of class events.ErrInvalid.
func (z *Writer) Close() (Manifest, error) {
	z.flush()
	if z.err == nil && z.index.Count == 0 {
		z.err = fmt.Errorf("%w: a segment needs an event", events.ErrInvalid)
	}
	if z.chain != nil {
		z.index.Chain.End = hex.EncodeToString(z.chain[:])
	}
	sums := sha256.New()
	for i := range z.index.Frames {
		sums.Write(z.index.Frames[i].SHA256[:])
	}
	z.index.SHA256 = hex.EncodeToString(sums.Sum(nil))
	data, err := z.index.encode()
	if err != nil {
		return Manifest{}, err
	}
	b := binary.LittleEndian.AppendUint32(nil, footerMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(int64(len(data))+trailer))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = append(b, trailerMagic...)
	z.write(b)
	return z.index.Manifest, z.err
}

func (z *Writer) write(b []byte) {
	if z.err != nil {
		return
	}
	_, z.err = z.w.Write(b)
	z.offset += int64(len(b))
}
