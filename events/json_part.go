package events

import (
	"encoding/binary"
	"reflect"

	"github.com/cespare/xxhash/v2"
)

// parts remembers parts of objects decoded lately, by their text: pods of one
// template, and all that one controller made, say mostly the same. A part that
// comes again is neither decoded nor in memory again. What it remembers changes
// no result, but objects share parts: only for objects that nobody writes to.
//
// A part's text is complete JSON, so text that begins with it has the same
// value there: where it ends need not be found first. It is remembered when it
// comes for the second time, so that what is unique displaces nothing.
type parts struct {
	sets [1 << partBits][2]part
	once [1 << partBits]uint64 // of the text that came last, and was not remembered
}

type part struct {
	shape *shape
	text  []byte
	value reflect.Value
}

const (
	partBits  = 9
	shortPart = 32 // bytes at least
	longPart  = 96 // parts of as many bytes are told apart by these
	maxPart   = 2048
)

// partly reports whether values of a shape are worth remembering.
func (sh *shape) partly() bool {
	switch sh.sort {
	case sortStruct, sortPointer, sortList, sortMap, sortStringMap:
		return true
	}
	return false
}

// known sets v to the part that data goes on with, if it is remembered.
func (s *scanner) known(sh *shape, v reflect.Value) bool {
	rest := s.data[s.pos:]
	if len(rest) < shortPart {
		return false
	}
	hash := hashText(sh.id, rest[:shortPart])
	if len(rest) >= longPart && s.knownAt(slot(hashText(hash, rest[shortPart:longPart])), sh, rest, v) {
		return true
	}
	return s.knownAt(slot(hash), sh, rest, v)
}

func (s *scanner) knownAt(slot uint64, sh *shape, rest []byte, v reflect.Value) bool {
	set := &s.in.parts.sets[slot]
	for i := range set {
		p := &set[i]
		if p.shape == sh && len(p.text) <= len(rest) && string(p.text) == string(rest[:len(p.text)]) {
			v.Set(p.value)
			s.pos += len(p.text)
			return true
		}
	}
	return false
}

// remember keeps a part, if it came before.
func (s *scanner) remember(sh *shape, text []byte, v reflect.Value) {
	if len(text) < shortPart || len(text) > maxPart {
		return
	}
	hash := hashText(sh.id, text[:shortPart])
	if len(text) >= longPart {
		hash = hashText(hash, text[shortPart:longPart])
	}
	i := slot(hash)
	once := &s.in.parts.once[i]
	if whole := xxhash.Sum64(text) ^ sh.id; *once != whole {
		*once = whole
		return
	}
	if v.Kind() == reflect.Slice {
		v.SetCap(v.Len()) // who appends to a list doesn't write to what others have
	}
	value := reflect.New(v.Type()).Elem()
	value.Set(v)
	set := &s.in.parts.sets[i]
	set[1] = set[0]
	set[0] = part{sh, append([]byte(nil), text...), value}
}

// hashText goes on from h with a text, whose length is a multiple of 8.
func hashText(h uint64, b []byte) uint64 {
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ h>>29 ^ binary.LittleEndian.Uint64(b)) * 0x9E3779B97F4A7C15
	}
	return h
}

// slot is where a hash's parts are.
func slot(hash uint64) uint64 {
	return (hash ^ hash>>32) * 0x9E3779B97F4A7C15 >> (64 - partBits)
}
