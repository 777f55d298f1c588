package controllers

import (
	"encoding/binary"
	"hash/fnv"
)

// Namer gives names <prefix>-xxxxx for the children of one object. The same
// snapshot gives the same names, so that a reconcile stays a function of it.
type Namer struct {
	Prefix   string
	UID      string // of the parent
	Position uint64 // of the snapshot

	n     uint64
	taken map[string]bool
}

// The characters that Kubernetes generates names from, and a name's length.
const (
	alphabet    = "bcdfghjklmnpqrstvwxz2456789"
	suffix      = 5
	longestName = 63
)

// Next is a name that it hasn't given yet and exists says nothing about.
func (g *Namer) Next(exists func(string) bool) string {
	prefix := g.Prefix + "-"
	if len(prefix) > longestName-suffix {
		prefix = prefix[:longestName-suffix]
	}
	if g.taken == nil {
		g.taken = map[string]bool{}
	}
	for {
		h := fnv.New64a()
		h.Write([]byte(g.UID))
		h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, g.Position), g.n))
		g.n++
		sum := h.Sum64()
		var b [suffix]byte
		for i := range b {
			b[i] = alphabet[sum%uint64(len(alphabet))]
			sum /= uint64(len(alphabet))
		}
		name := prefix + string(b[:])
		if !g.taken[name] && !exists(name) {
			g.taken[name] = true
			return name
		}
	}
}
