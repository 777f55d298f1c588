package events

import (
	"encoding/binary"
	"reflect"
	"sync"
)

// interner remembers strings read lately, so that one that comes again isn't
// made again: objects of one kind say mostly the same ("TCP", "IfNotPresent",
// labels, images). It saves most of the allocations of a decode, and half of
// the memory that objects take. What it remembers changes no result.
type interner struct {
	strings [1 << 10]string
	bytes   [1 << 6][]byte
	parts   parts
	lists   map[*shape]reflect.Value // to build lists in
}

const (
	maxInternedString = 64
	maxInternedBytes  = 4096
)

var interners = sync.Pool{New: func() any { return &interner{lists: map[*shape]reflect.Value{}} }}

// string is b as a string.
func (in *interner) string(b []byte) string {
	if in == nil || len(b) > maxInternedString {
		return string(b)
	}
	if len(b) == 0 {
		return ""
	}
	slot := &in.strings[mix(b)>>(64-10)]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// shared is a copy of b that nobody may write to.
func (in *interner) shared(b []byte) []byte {
	if in == nil || len(b) > maxInternedBytes {
		return append([]byte(nil), b...)
	}
	slot := &in.bytes[mix(b)>>(64-6)]
	if string(*slot) != string(b) {
		*slot = append([]byte(nil), b...)
	}
	return *slot
}

// list is room to build a list in, of n elements or more, all zero. Who uses it
// clears it.
func (in *interner) list(sh *shape, n int) reflect.Value {
	have, ok := in.lists[sh]
	if !ok || have.Len() < n {
		have = reflect.MakeSlice(sh.typ, max(n, 8), max(n, 8))
		if n <= 64 {
			in.lists[sh] = have
		}
	}
	return have
}

// mix tells most strings apart by their length, beginning, middle and end.
func mix(b []byte) uint64 {
	const odd = 0x9E3779B97F4A7C15
	n := len(b)
	h := uint64(n)
	switch {
	case n >= 8:
		h ^= binary.LittleEndian.Uint64(b)
		h *= odd
		h ^= binary.LittleEndian.Uint64(b[(n-8)/2:])
		h *= odd
		h ^= binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		h ^= uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		h ^= uint64(b[0])<<8 | uint64(b[n/2])<<16 | uint64(b[n-1])<<24
	}
	h ^= h >> 29
	return h * odd
}
