package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/reckon-project/reckon/events"
)

// Format is the version of the segment format that this program writes, and
// the newest that it reads.
const Format = 1

// Manifest says what a segment holds.
type Manifest struct {
	Format int       `json:"format"`
	First  uint64    `json:"first"` // sequences, without a gap
	Last   uint64    `json:"last"`
	Count  uint64    `json:"count"`
	Begin  time.Time `json:"begin"` // stored times of the first and the last event
	End    time.Time `json:"end"`
	Bytes  int64     `json:"bytes"` // of content, uncompressed
	// SHA256 is the checksum of all content: the SHA-256, in hex, of the
	// frames' SHA-256 sums one after another.
	SHA256 string `json:"sha256"`
	// Chain is the running hash over the log before the first event and after
	// the last one, in hex, where the writer knew it.
	Chain *Chain `json:"chain,omitempty"`
}

// Chain is the running hash over the log at both ends of a segment.
type Chain struct {
	Begin string `json:"begin"`
	End   string `json:"end"`
}

// after is the running hash at the segment's end, where it is known.
func (m *Manifest) after() (c events.Chain, ok bool) {
	if m.Chain == nil {
		return c, false
	}
	n, err := hex.Decode(c[:], []byte(m.Chain.End[:min(len(m.Chain.End), 2*len(c))]))
	return c, err == nil && n == len(c)
}

// frame is one entry of the index.
type frame struct {
	Offset  int64             `json:"offset"` // of the frame's header in the file
	Length  int64             `json:"length"` // of header and compressed content
	Bytes   int64             `json:"bytes"`  // of content, uncompressed
	First   uint64            `json:"first"`
	Last    uint64            `json:"last"`
	Count   uint64            `json:"count"`
	Begin   time.Time         `json:"begin"`
	End     time.Time         `json:"end"`
	SHA256  [sha256.Size]byte `json:"-"`
	SHAText string            `json:"sha256"`
	Keys    keys              `json:"keys"`
}

// index is a segment's table of contents: its footer, and a blob of its own
// beside it so that it can be read alone.
type index struct {
	Manifest
	Frames []frame `json:"frames"`
}

// Frames and indexes have decoders of their own, since what one may decompress
// to is bounded.
var (
	frameDecoder = sync.OnceValue(func() *zstd.Decoder { return newDecoder(maxContent) })
	indexDecoder = sync.OnceValue(func() *zstd.Decoder { return newDecoder(maxFooter) })
	encoder      = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
			zstd.WithWindowSize(frameContent), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
		if err != nil {
			panic(err) // the options are constant
		}
		return e
	})
)

func newDecoder(size uint64) *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(size))
	if err != nil {
		panic(err)
	}
	return d
}

func (x *index) encode() ([]byte, error) {
	for i := range x.Frames {
		x.Frames[i].SHAText = hex.EncodeToString(x.Frames[i].SHA256[:])
	}
	text, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	return encoder().EncodeAll(text, nil), nil
}

// decodeIndex reads an index and checks that it is one in itself.
func decodeIndex(data []byte) (*index, error) {
	text, err := indexDecoder().DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	var x index
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&x); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	if x.Format > Format {
		return nil, fmt.Errorf("%w: segment format %d is newer than this program reads (%d): upgrade reckon", events.ErrInvalid, x.Format, Format)
	}
	return &x, x.check()
}

func (x *index) check() error {
	sums := sha256.New()
	next, offset, count, size := x.First, int64(len(head)), uint64(0), int64(0)
	for i := range x.Frames {
		f := &x.Frames[i]
		if n, err := hex.Decode(f.SHA256[:], []byte(f.SHAText[:min(len(f.SHAText), 2*sha256.Size)])); err != nil || n != sha256.Size {
			return fmt.Errorf("index: frame %d has no checksum", i)
		}
		if f.First != next || f.Last < f.First || f.Count != f.Last-f.First+1 || f.Offset != offset ||
			f.Length < frameHeader || f.Length > frameHeader+maxContent || f.Bytes < 0 || f.Bytes > maxContent {
			return fmt.Errorf("index: frame %d doesn't follow the one before", i)
		}
		sums.Write(f.SHA256[:])
		next, offset, count, size = f.Last+1, f.Offset+f.Length, count+f.Count, size+f.Bytes
	}
	if len(x.Frames) == 0 || next != x.Last+1 || count != x.Count || size != x.Bytes || hex.EncodeToString(sums.Sum(nil)) != x.SHA256 {
		return fmt.Errorf("index: the frames don't add up to the manifest")
	}
	return nil
}

// weight is about how much memory an index takes.
func (x *index) weight() int {
	n := 256
	for i := range x.Frames {
		n += 256 + 4*len(x.Frames[i].Keys)
	}
	return n
}
