package projections

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/reckon-project/reckon/events"
)

// Signer lets the projection sign its checkpoints with the cluster's key, so
// that Verify can tell a log that was changed together with its checkpoints.
func Signer(key ed25519.PrivateKey) Option { return func(p *Projection) { p.signer = key } }

// seal follows the state in a checkpoint.
type seal struct {
	Checksum  []byte `json:"checksum"`            // SHA-256 of the encoded state
	Signature []byte `json:"signature,omitempty"` // ed25519, of sealed
}

// sealed is what a checkpoint's signature is of.
func sealed(position uint64, chain events.Chain, checksum []byte) []byte {
	b := []byte("reckon checkpoint 1\n")
	b = binary.BigEndian.AppendUint64(b, position)
	b = append(b, chain[:]...)
	return append(b, checksum...)
}

// maxSeal bounds what is read of a seal.
const maxSeal = 4096

// writeSealed writes a state and its seal.
func (s *Snapshot) writeSealed(w io.Writer, key ed25519.PrivateKey) error {
	checksum := sha256.New()
	if err := s.Encode(io.MultiWriter(w, checksum)); err != nil {
		return err
	}
	is := seal{Checksum: checksum.Sum(nil)}
	if key != nil {
		is.Signature = ed25519.Sign(key, sealed(s.Position(), s.Chain(), is.Checksum))
	}
	return json.NewEncoder(w).Encode(is)
}

// readSeal reads what follows a state; checkpoints of older versions have none.
func readSeal(r io.Reader) (*seal, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSeal))
	if err != nil || len(data) == 0 {
		return nil, err
	}
	is := &seal{}
	if err := json.Unmarshal(data, is); err != nil {
		return nil, fmt.Errorf("%w: seal: %v", events.ErrInvalid, err)
	}
	return is, nil
}
