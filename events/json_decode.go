package events

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// decode reads a value into v, an addressable slot that holds the zero value.
// Names are case-sensitive and unknown fields are ignored, as in Kubernetes.
func (s *scanner) decode(sh *shape, v reflect.Value) error {
	c := s.peek()
	if c == 'n' {
		return s.literal("null")
	}
	if !s.share || c != '{' && c != '[' || !sh.partly() || s.depth > maxDepth-maxPart {
		return s.decodeNew(sh, v)
	}
	if s.known(sh, v) {
		return nil
	}
	start := s.pos
	if err := s.decodeNew(sh, v); err != nil {
		return err
	}
	s.remember(sh, s.data[start:s.pos], v)
	return nil
}

// decodeNew reads a value that isn't null.
func (s *scanner) decodeNew(sh *shape, v reflect.Value) error {
	switch sh.sort {
	case sortStruct:
		if err := s.open('{'); err != nil {
			return err
		}
		var seen seen
		next := 0
		for n := 0; ; n++ {
			key, more, err := s.nextKey(n)
			if err != nil || !more {
				return err
			}
			f := sh.field(key, &next)
			if f == nil {
				_, err = s.skip()
			} else if seen.twice(f) {
				err = s.fail("key %q twice", key)
			} else {
				err = s.decode(f.shape, f.of(v))
			}
			if err != nil {
				return err
			}
		}
	case sortPointer:
		p := reflect.New(sh.elem.typ)
		if err := s.decodeNew(sh.elem, p.Elem()); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case sortList:
		return s.decodeList(sh, v)
	case sortStringMap:
		return s.decodeStringMap(v)
	case sortMap:
		return s.decodeMap(sh, v)
	}
	return s.decodeScalar(sh, v)
}

func (s *scanner) decodeList(sh *shape, v reflect.Value) error {
	if err := s.open('['); err != nil {
		return err
	}
	for n := 0; ; n++ {
		more, err := s.next(n, ']')
		if err != nil {
			return err
		}
		if !more {
			if n == 0 {
				v.Set(reflect.MakeSlice(sh.typ, 0, 0))
			}
			return nil
		}
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if err := s.decode(sh.elem, v.Index(n)); err != nil {
			return err
		}
	}
}

func (s *scanner) decodeMap(sh *shape, v reflect.Value) error {
	if err := s.open('{'); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(sh.typ))
	key := reflect.New(sh.typ.Key()).Elem()
	slot := reflect.New(sh.elem.typ).Elem()
	for n := 0; ; n++ {
		b, more, err := s.nextKey(n)
		if err != nil || !more {
			return err
		}
		key.SetString(s.in.string(b))
		slot.SetZero()
		if err := s.decode(sh.elem, slot); err != nil {
			return err
		}
		if v.SetMapIndex(key, slot); v.Len() == n {
			return s.fail("key %q twice", key)
		}
	}
}

func (s *scanner) decodeStringMap(v reflect.Value) error {
	if err := s.open('{'); err != nil {
		return err
	}
	m := map[string]string{}
	*v.Addr().Interface().(*map[string]string) = m
	for n := 0; ; n++ {
		b, more, err := s.nextKey(n)
		if err != nil || !more {
			return err
		}
		key := s.in.string(b)
		var value []byte
		if s.peek() == 'n' {
			err = s.literal("null")
		} else {
			value, err = s.text()
		}
		if err != nil {
			return err
		}
		if m[key] = s.in.string(value); len(m) == n {
			return s.fail("key %q twice", key)
		}
	}
}

func (s *scanner) decodeScalar(sh *shape, v reflect.Value) error {
	switch sh.sort {
	case sortString:
		b, err := s.text()
		if err != nil {
			return err
		}
		v.SetString(s.in.string(b))
	case sortBytes:
		b, err := s.text()
		if err != nil {
			return err
		}
		out := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
		n, err := base64.StdEncoding.Decode(out, b)
		if err != nil {
			return s.fail("%v", err)
		}
		v.SetBytes(out[:n])
	case sortBool:
		if s.peek() == 't' {
			v.SetBool(true)
			return s.literal("true")
		}
		v.SetBool(false)
		return s.literal("false")
	case sortInt:
		text, err := s.number()
		if err != nil {
			return err
		}
		i, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil || v.OverflowInt(i) {
			return s.fail("%s is no %s", text, sh.typ)
		}
		v.SetInt(i)
	case sortUint:
		text, err := s.number()
		if err != nil {
			return err
		}
		i, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil || v.OverflowUint(i) {
			return s.fail("%s is no %s", text, sh.typ)
		}
		v.SetUint(i)
	case sortFloat:
		text, err := s.number()
		if err != nil {
			return err
		}
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil || v.OverflowFloat(f) {
			return s.fail("%s is no %s", text, sh.typ)
		}
		v.SetFloat(f)
	case sortTime:
		b, err := s.text()
		if err != nil {
			return err
		}
		t, ok := parseSeconds(b)
		if !ok {
			if t, err = time.Parse(time.RFC3339, string(b)); err != nil {
				return s.fail("%v", err)
			}
		}
		v.Addr().Interface().(*metav1.Time).Time = t.Local()
	default:
		raw, err := s.skip()
		if err != nil {
			return err
		}
		return s.decodeOpaque(raw, v)
	}
	return nil
}

// decodeOpaque reads one whole value by the type's own method.
func (s *scanner) decodeOpaque(raw []byte, v reflect.Value) error {
	if f, ok := v.Addr().Interface().(*metav1.FieldsV1); ok && len(raw) > 0 && raw[0] == '{' {
		f.SetRawBytes(s.in.shared(raw))
		return nil
	}
	var err error
	if u, ok := v.Addr().Interface().(interface{ UnmarshalJSON([]byte) error }); ok {
		err = u.UnmarshalJSON(raw)
	} else {
		err = kjson.UnmarshalCaseSensitivePreserveInts(raw, v.Addr().Interface())
	}
	if err != nil {
		return s.fail("%v", err)
	}
	return nil
}

// parseSeconds reads a time in the form that all times of the log have,
// "2006-01-02T15:04:05Z"; false: it's another.
func parseSeconds(b []byte) (time.Time, bool) {
	if len(b) != len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != 'Z' {
		return time.Time{}, false
	}
	ok := true
	number := func(from, to int) (n int) {
		for _, c := range b[from:to] {
			ok = ok && c-'0' <= 9
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second := number(11, 13), number(14, 16), number(17, 19)
	if !ok || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // days after the 28th are left to who knows the months
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
}
