package events

import (
	"reflect"
	"unsafe"
)

// texts remembers how parts that objects share are written, by where they are
// in memory. What is in it stays in memory, so no other part comes to be there.
type texts struct {
	known [1 << textBits]text
	once  [1 << textBits]uint64 // of the part that came last, and was not remembered
}

type text struct {
	shape *shape
	at    unsafe.Pointer
	n     int
	json  []byte
}

const textBits = 11

// part appends a list, a map or what a pointer points to.
func (e *encoder) part(sh *shape, v reflect.Value) error {
	at, n := v.UnsafePointer(), 1
	if sh.sort == sortList {
		n = v.Len()
	}
	if at == nil || n == 0 {
		return e.whole(sh, v)
	}
	where := uint64(uintptr(at)) ^ sh.id<<48 ^ uint64(n)<<56
	i := where * 0x9E3779B97F4A7C15 >> (64 - textBits)
	if t := &e.texts.known[i]; t.shape == sh && t.at == at && t.n == n {
		e.buf = append(e.buf, t.json...)
		return nil
	}
	begin := len(e.buf)
	if err := e.whole(sh, v); err != nil {
		return err
	}
	if once := &e.texts.once[i]; *once != where {
		*once = where
		return nil
	}
	if len(e.buf)-begin <= maxPart {
		e.texts.known[i] = text{sh, at, n, append([]byte(nil), e.buf[begin:]...)}
	}
	return nil
}
