package replicaset

import (
	"encoding/binary"
	"hash/fnv"
)

// namer gives pod names <prefix>-xxxxx. The same snapshot gives the same names.
type namer struct {
	prefix   string
	uid      string
	position uint64
	n        uint64
	taken    map[string]bool
}

// The characters that Kubernetes generates names from, and a name's length.
const (
	alphabet    = "bcdfghjklmnpqrstvwxz2456789"
	suffix      = 5
	longestName = 63
)

// next is a name that exists says nothing about.
func (g *namer) next(exists func(string) bool) string {
	prefix := g.prefix + "-"
	if len(prefix) > longestName-suffix {
		prefix = prefix[:longestName-suffix]
	}
	for {
		h := fnv.New64a()
		h.Write([]byte(g.uid))
		h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, g.position), g.n))
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
