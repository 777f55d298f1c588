package sealed

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// SigningKey is the key that a cluster signs its checkpoints and anchors with.
// It is derived from the cluster key (see ClusterKey), so all servers of a
// cluster have it and nobody else; whoever knows its public half can verify.
func SigningKey(clusterKey []byte) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, clusterKey, nil, "reckon: signatures of checkpoints and anchors", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
