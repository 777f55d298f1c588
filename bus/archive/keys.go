package archive

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// keys is the sorted set of hashes by which a frame is found: of each event's
// object, of the object's resource and namespace, of its resource, and of the
// reporter. A hash that isn't there proves that no such event is; one in some
// millions is there by chance and costs one look into the frame.
type keys []uint32

func (k keys) has(h uint32) bool {
	_, ok := slices.BinarySearch(k, h)
	return ok
}

// MarshalText packs the hashes: four bytes each, in base64.
func (k keys) MarshalText() ([]byte, error) {
	b := make([]byte, 0, 4*len(k))
	for _, h := range k {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText is the inverse of MarshalText.
func (k *keys) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(b)%4 != 0 {
		return fmt.Errorf("%w: a frame's keys are malformed", events.ErrInvalid)
	}
	*k = make(keys, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		*k = append(*k, binary.LittleEndian.Uint32(b))
	}
	if !slices.IsSorted(*k) {
		return fmt.Errorf("%w: a frame's keys are not sorted", events.ErrInvalid)
	}
	return nil
}

// keySet collects the keys of a frame's events.
type keySet map[uint32]struct{}

func (s keySet) add(subject string) {
	reporter, object := splitSubject(strings.Split(subject, "."))
	if reporter != "" {
		s[hash("reporter", reporter)] = struct{}{}
	}
	for n := 2; n <= min(len(object), 4); n++ {
		s[hash(object[:n]...)] = struct{}{}
	}
}

func (s keySet) sorted() keys {
	out := make(keys, 0, len(s))
	for h := range s {
		out = append(out, h)
	}
	slices.Sort(out)
	return out
}

// splitSubject takes the tokens of a subject, or of a filter, apart: the
// reporter of a fact, and group, resource, namespace and name.
func splitSubject(tokens []string) (reporter string, object []string) {
	switch {
	case tokens[0] == events.PrefixFact && len(tokens) > 1:
		return tokens[1], tokens[2:]
	case tokens[0] == events.PrefixDecision, tokens[0] == events.PrefixVolatile:
		return "", tokens[1:]
	}
	return "", nil // a wildcard: the sorts have different lengths
}

func hash(tokens ...string) uint32 {
	h := fnv.New64a()
	for _, t := range tokens {
		h.Write([]byte(t))
		h.Write([]byte{'.'})
	}
	sum := h.Sum64()
	return uint32(sum ^ sum>>32)
}

// wanted is a list of filters, each as the hashes that a frame must all have to
// hold a match. No filter at all matches everything.
type wanted [][]uint32

func wantedKeys(filters []string) wanted {
	var w wanted
	for _, f := range filters {
		var need []uint32
		reporter, object := splitSubject(strings.Split(f, "."))
		if reporter != "" && !wildcard(reporter) {
			need = append(need, hash("reporter", reporter))
		}
		n := 0
		for n < min(len(object), 4) && !wildcard(object[n]) {
			n++
		}
		if n >= 2 {
			need = append(need, hash(object[:n]...))
		}
		w = append(w, need)
	}
	return w
}

func wildcard(token string) bool { return token == "*" || token == ">" }

func (w wanted) maybeIn(k keys) bool {
	if len(w) == 0 {
		return true
	}
	return slices.ContainsFunc(w, func(need []uint32) bool {
		return !slices.ContainsFunc(need, func(h uint32) bool { return !k.has(h) })
	})
}
