package events

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// encoder writes Go values as JSON, as encoding/json does, by their shapes.
type encoder struct {
	buf []byte
	// patch: the value goes into a merge patch. A null in a struct is left out
	// (absent is the same for a Go field); one in a map can't be said.
	patch bool
	texts *texts // of parts of objects that nobody writes to; nil: none are remembered
}

// value appends v.
func (e *encoder) value(sh *shape, v reflect.Value) error {
	if e.texts != nil {
		switch sh.sort {
		case sortPointer, sortList, sortMap, sortStringMap:
			return e.part(sh, v)
		}
	}
	return e.whole(sh, v)
}

// whole appends v, though it may have been written before.
func (e *encoder) whole(sh *shape, v reflect.Value) error {
	switch sh.sort {
	case sortStruct:
		return e.structure(sh, v)
	case sortPointer:
		if v.IsNil() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		return e.value(sh.elem, v.Elem())
	case sortList:
		return e.list(sh, v)
	case sortMap, sortStringMap:
		return e.mapping(sh, v)
	case sortString:
		e.buf = appendString(e.buf, v.String())
	case sortBytes:
		if v.IsNil() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, v.Bytes())
		e.buf = append(e.buf, '"')
	case sortBool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case sortInt:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case sortUint:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case sortTime:
		t := addressable(v).Addr().Interface().(*metav1.Time)
		if t.IsZero() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		e.buf = append(e.buf, '"')
		e.buf = t.UTC().AppendFormat(e.buf, time.RFC3339)
		e.buf = append(e.buf, '"')
	default:
		return e.opaque(v)
	}
	return nil
}

func (e *encoder) structure(sh *shape, v reflect.Value) error {
	e.buf = append(e.buf, '{')
	start := len(e.buf)
	for i := range sh.fields {
		f := &sh.fields[i]
		fv := f.of(v)
		if f.absent(fv) {
			continue
		}
		before := len(e.buf)
		if before > start {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, f.prefix...)
		at := len(e.buf)
		if err := e.value(f.shape, fv); err != nil {
			return err
		}
		if e.patch && isNull(e.buf[at:]) {
			e.buf = e.buf[:before]
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

func (e *encoder) list(sh *shape, v reflect.Value) error {
	if v.IsNil() {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	// A merge patch replaces lists whole: nulls within mean themselves.
	patch := e.patch
	e.patch = false
	e.buf = append(e.buf, '[')
	for i := range v.Len() {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.value(sh.elem, v.Index(i)); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, ']')
	e.patch = patch
	return nil
}

func (e *encoder) mapping(sh *shape, v reflect.Value) error {
	if v.IsNil() {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	e.buf = append(e.buf, '{')
	if sh.sort == sortStringMap {
		m := v.Interface().(map[string]string)
		for i, k := range slices.Sorted(maps.Keys(m)) {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.buf = append(appendString(e.buf, k), ':')
			e.buf = appendString(e.buf, m[k])
		}
		e.buf = append(e.buf, '}')
		return nil
	}
	for i, k := range sortedKeys(v) {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(appendString(e.buf, k.String()), ':')
		at := len(e.buf)
		if err := e.value(sh.elem, v.MapIndex(k)); err != nil {
			return err
		}
		if e.patch && isNull(e.buf[at:]) {
			return errUnsayable
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

func (e *encoder) opaque(v reflect.Value) error {
	switch o := addressable(v).Addr().Interface().(type) {
	case *resource.Quantity:
		data, err := o.MarshalJSON()
		if err != nil {
			return fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		e.buf = append(e.buf, data...)
		return nil
	case *intstr.IntOrString:
		if o.Type == intstr.Int {
			e.buf = strconv.AppendInt(e.buf, int64(o.IntVal), 10)
			return nil
		}
	case *metav1.FieldsV1:
		if raw := o.GetRawBytes(); !e.patch && isPlainJSON(raw) {
			e.buf = append(e.buf, raw...)
			return nil
		}
	}
	data, err := json.Marshal(addressable(v).Addr().Interface())
	if err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if e.patch && data[0] == '{' {
		m, err := rawMap(data)
		if err != nil {
			return err
		}
		if hasNull(m) {
			return errUnsayable
		}
	}
	e.buf = append(e.buf, data...)
	return nil
}

func isNull(b []byte) bool { return len(b) == 4 && b[0] == 'n' }

// sortedKeys gives the keys of a map of string kind in order.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	return keys
}

// appendString writes a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always encodes
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// isPlainJSON: JSON that encoding/json would write as it is, without blanks and
// without characters that it escapes.
func isPlainJSON(raw []byte) bool {
	for _, c := range raw {
		if c <= ' ' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return len(raw) > 0
}
