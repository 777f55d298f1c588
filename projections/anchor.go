package projections

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Anchor says what the log was at a moment, in one line of JSON that is kept
// outside the cluster: with it even the loss of the newest part is found.
type Anchor struct {
	Position  uint64       `json:"position"`
	Time      time.Time    `json:"time"` // when it was made
	Chain     events.Chain `json:"chain"`
	Signature []byte       `json:"signature"` // by the cluster's key, of all the above
}

// NewAnchor makes an anchor of a position that Verify or a Snapshot gave.
func NewAnchor(position uint64, chain events.Chain, now time.Time, key ed25519.PrivateKey) Anchor {
	a := Anchor{Position: position, Time: now.UTC().Truncate(time.Second), Chain: chain}
	a.Signature = ed25519.Sign(key, a.signed())
	return a
}

func (a Anchor) signed() []byte {
	b := []byte("reckon anchor 1\n")
	b = binary.BigEndian.AppendUint64(b, a.Position)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Time.Unix()))
	return append(b, a.Chain[:]...)
}

// ReadAnchors reads anchors, one a line; empty lines are passed over.
func ReadAnchors(r io.Reader) ([]Anchor, error) {
	var out []Anchor
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var a Anchor
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("anchors: line %d: %w: %v", n, events.ErrInvalid, err)
		}
		out = append(out, a)
	}
	return out, lines.Err()
}
