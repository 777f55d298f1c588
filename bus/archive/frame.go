package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
)

const (
	frameEvents  = 1000     // events of a frame at most
	frameContent = 1 << 20  // bytes of content from which a frame is closed
	maxContent   = 16 << 20 // bytes of content: the last event may be large
	maxFooter    = 64 << 20 // of some ten million events

	skippable    = 8 // bytes before a skippable frame's payload: magic and length
	framePayload = 8*4 + 4*3 + sha256.Size
	frameHeader  = skippable + framePayload
	trailer      = 8 + int64(len(trailerMagic)) // ends a footer: the index's length, and this
	trailerMagic = "reckonix"
	headMagic    = 0x184D2A50 // skippable frames have 0x184D2A50 to 0x184D2A5F
	frameMagic   = 0x184D2A51
	footerMagic  = 0x184D2A5F
	headText     = "reckon log segment 1\n"
)

// head begins every segment.
var head = append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, headMagic), uint32(len(headText))), headText...)

// encodeFrame gives a frame's header and compressed content.
func encodeFrame(f *frame, content []byte) []byte {
	f.SHA256 = sha256.Sum256(content)
	f.Bytes = int64(len(content))
	b := make([]byte, frameHeader, frameHeader+len(content)/4)
	b = encoder().EncodeAll(content, b)
	f.Length = int64(len(b))
	h := b[:0]
	h = binary.LittleEndian.AppendUint32(h, frameMagic)
	h = binary.LittleEndian.AppendUint32(h, framePayload)
	h = binary.LittleEndian.AppendUint64(h, f.First)
	h = binary.LittleEndian.AppendUint64(h, f.Last)
	h = binary.LittleEndian.AppendUint64(h, uint64(f.Begin.UnixNano()))
	h = binary.LittleEndian.AppendUint64(h, uint64(f.End.UnixNano()))
	h = binary.LittleEndian.AppendUint32(h, uint32(f.Count))
	h = binary.LittleEndian.AppendUint32(h, uint32(f.Bytes))
	h = binary.LittleEndian.AppendUint32(h, uint32(f.Length-frameHeader))
	copy(b[len(h):], f.SHA256[:])
	return b
}

// decodeHeader reads the payload of a frame's header.
func decodeHeader(b []byte) (frame, error) {
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	f := frame{
		First: u64(0), Last: u64(8), Begin: time.Unix(0, int64(u64(16))).UTC(), End: time.Unix(0, int64(u64(24))).UTC(),
		Count: uint64(u32(32)), Bytes: u32(36), Length: u32(40) + frameHeader,
	}
	copy(f.SHA256[:], b[44:])
	if f.Length > frameHeader+maxContent || f.Bytes > maxContent || f.Last < f.First || f.Count != f.Last-f.First+1 || f.First == 0 {
		return frame{}, errors.New("its header is malformed")
	}
	return f, nil
}

// open decompresses a frame's content and compares it with its checksum.
func (f *frame) open(compressed []byte) ([]byte, error) {
	content, err := frameDecoder().DecodeAll(compressed, nil)
	switch {
	case err != nil:
		return nil, err
	case int64(len(content)) != f.Bytes || sha256.Sum256(content) != f.SHA256:
		return nil, errors.New("its checksum is wrong")
	}
	return content, nil
}

// events gives those of a frame's events that are wanted.
func (f *frame) events(content []byte, from, to uint64, filters []string) ([]*events.Event, error) {
	r := records{content: content}
	r.before.sequence = f.First - 1
	var out []*events.Event
	n := uint64(0)
	for ; len(r.content) > 0; n++ {
		e, err := r.next(from, to, filters)
		if err != nil {
			return nil, err
		}
		if r.before.sequence != f.First+n {
			return nil, fmt.Errorf("it has event %d in the place of %d", r.before.sequence, f.First+n)
		}
		if e != nil {
			out = append(out, e)
		}
	}
	if n != f.Count {
		return nil, fmt.Errorf("it has %d events, its header says %d", n, f.Count)
	}
	return out, nil
}

// same reports whether two descriptions of a frame agree in what both have.
func (f *frame) same(g *frame) bool {
	return f.First == g.First && f.Last == g.Last && f.Begin.Equal(g.Begin) && f.End.Equal(g.End) && f.Length == g.Length &&
		f.Bytes == g.Bytes && f.SHA256 == g.SHA256
}
