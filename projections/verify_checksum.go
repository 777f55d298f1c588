package projections

import (
	"crypto/sha256"

	"github.com/reckon-project/reckon/events"
)

// encodings makes checksums of states that follow one another: objects are
// immutable, so one that is the same as in the last state, by its address, has
// the same encoding, and only the others are encoded. Each checksum is that of
// the whole state all the same.
type encodings struct {
	objects events.Encoder
	last    map[*events.Object][]byte // the last state's
}

// encodedKept bounds how many bytes of encodings are kept for the next state.
const encodedKept = 128 << 20

// checksum is the SHA-256 of the encoded state.
func (c *encodings) checksum(s *Snapshot) ([]byte, error) {
	h := sha256.New()
	room := encodedKept
	next := make(map[*events.Object][]byte, len(c.last))
	err := s.encode(h, func(o *events.Object) ([]byte, error) {
		data, ok := c.last[o]
		if !ok {
			var err error
			if data, err = c.objects.Encode(o.Value); err != nil {
				return nil, err
			}
		}
		if room -= len(data); room >= 0 {
			next[o] = data
		}
		return data, nil
	})
	c.last = next
	return h.Sum(nil), err
}
