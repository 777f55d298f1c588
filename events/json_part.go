package events

import (
	"encoding/binary"
	"reflect"
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
	for _, begin := range [...]int{longPart, shortPart} {
		if len(rest) < begin {
			continue
		}
		set := &s.in.parts.sets[hashText(sh, rest[:begin])>>(64-partBits)]
		for i := range set {
			p := &set[i]
			if p.shape == sh && len(p.text) <= len(rest) && string(p.text) == string(rest[:len(p.text)]) {
				v.Set(p.value)
				s.pos += len(p.text)
				return true
			}
		}
	}
	return false
}

// remember keeps a part, if it came before.
func (s *scanner) remember(sh *shape, text []byte, v reflect.Value) {
	if len(text) < shortPart || len(text) > maxPart {
		return
	}
	begin := shortPart
	if len(text) >= longPart {
		begin = longPart
	}
	i := hashText(sh, text[:begin]) >> (64 - partBits)
	once := &s.in.parts.once[i]
	if whole := hashText(sh, text); *once != whole {
		*once = whole
		return
	}
	if sh.sort == sortList {
		v.SetCap(v.Len()) // who appends to a list doesn't write to what others have
	}
	value := reflect.New(sh.typ).Elem()
	value.Set(v)
	set := &s.in.parts.sets[i]
	set[1] = set[0]
	set[0] = part{sh, append([]byte(nil), text...), value}
}

// hashText tells texts of 8 bytes or more apart.
func hashText(sh *shape, b []byte) uint64 {
	const odd = 0x9E3779B97F4A7C15
	h := sh.id ^ uint64(len(b))
	h = (h ^ binary.LittleEndian.Uint64(b[len(b)-8:])) * odd
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ h>>29 ^ binary.LittleEndian.Uint64(b)) * odd
	}
	return (h ^ h>>32) * odd
}
