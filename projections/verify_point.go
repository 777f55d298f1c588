package projections

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// point is a position at which somebody said what the chain was.
type point struct {
	position           uint64
	what               string // "the checkpoint at 7", "the anchor of 2026-...", "the live state"
	chain              events.Chain
	chained            uint64 // what the chain begins after
	trusted            bool   // signed by the cluster's key, or known from inside
	checkpoint, anchor bool
	checksum           []byte // of the state; nil: not known
	problem            string // what is wrong with the point itself
}

// readPoint reads what a checkpoint says, without decoding its objects, and
// whether it is what was sealed and signed.
func readPoint(ctx context.Context, position uint64, blobs bus.Blobs, key ed25519.PublicKey) (point, error) {
	p := point{position: position, what: fmt.Sprintf("the checkpoint at %d", position), checkpoint: true}
	blob, err := blobs.Get(ctx, checkpointName(position))
	if err != nil {
		return p, fmt.Errorf("read %s: %w", p.what, err)
	}
	defer blob.Close()
	damaged := func(err error) (point, error) {
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		p.problem = fmt.Sprintf("%s can't be read: %v", p.what, err)
		return p, nil
	}
	r, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return damaged(err)
	}
	defer r.Close()
	t := &tail{hash: sha256.New()}
	if _, err := io.Copy(t, r); err != nil {
		return damaged(err)
	}
	h, err := t.header()
	if err != nil {
		return damaged(err)
	}
	if h.Position != position {
		p.problem = fmt.Sprintf("%s holds the state at %d", p.what, h.Position)
		return p, nil
	}
	checksum, is, err := t.split()
	if err != nil {
		return damaged(err)
	}
	p.chained = position
	if h.Chain != nil {
		p.chain, p.chained = *h.Chain, h.Chained
	}
	if is == nil {
		return p, nil // of an older version
	}
	switch {
	case !bytes.Equal(is.Checksum, checksum):
		p.problem = p.what + " was changed after it was sealed"
	case key != nil && len(is.Signature) > 0 && !ed25519.Verify(key, sealed(position, p.chain, checksum), is.Signature):
		p.problem = p.what + " isn't signed by this cluster's key"
	default:
		p.checksum, p.trusted = checksum, key == nil || len(is.Signature) > 0
	}
	return p, nil
}

// tail hashes a stream but for its end, where a seal may be, and keeps its
// beginning, where the header is.
type tail struct {
	hash  hash.Hash
	begin []byte
	held  []byte
}

const beginKept = 1 << 20

func (t *tail) Write(b []byte) (int, error) {
	if room := beginKept - len(t.begin); room > 0 {
		t.begin = append(t.begin, b[:min(room, len(b))]...)
	}
	t.held = append(t.held, b...)
	if n := len(t.held) - maxSeal; n > 0 {
		t.hash.Write(t.held[:n])
		t.held = append(t.held[:0], t.held[n:]...)
	}
	return len(b), nil
}

func (t *tail) header() (h encodedHeader, err error) {
	d := &decoder{r: bufio.NewReader(bytes.NewReader(t.begin))}
	d.expect(encodedMagic)
	data := d.bytes()
	if d.err != nil {
		return h, d.err
	}
	return h, json.Unmarshal(data, &h)
}

// split ends the hash with the state's end, and gives the seal behind it.
func (t *tail) split() (checksum []byte, is *seal, err error) {
	state := t.held
	if i := bytes.LastIndex(t.held, []byte(encodedEnd+"{")); i >= 0 {
		state = t.held[:i+len(encodedEnd)]
		is = &seal{}
		if err := json.Unmarshal(t.held[len(state):], is); err != nil {
			return nil, nil, err
		}
	}
	if !bytes.HasSuffix(state, []byte(encodedEnd)) {
		return nil, nil, fmt.Errorf("%w: it has no end", events.ErrInvalid)
	}
	t.hash.Write(state)
	return t.hash.Sum(nil), is, nil
}
