package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// value reads anything, as custom resources hold it: map[string]any, []any,
// string, bool, nil, int64, and float64 where a number is no int64.
func (s *scanner) value() (any, error) {
	switch s.peek() {
	case '{':
		return s.valueMap()
	case '[':
		if err := s.open('['); err != nil {
			return nil, err
		}
		out := []any{}
		for {
			more, err := s.next(len(out), ']')
			if err != nil || !more {
				return out, err
			}
			v, err := s.value()
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	case '"':
		b, err := s.text()
		return s.in.string(b), err
	case 't':
		return true, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case 'n':
		return nil, s.literal("null")
	}
	text, err := s.number()
	if err != nil {
		return nil, err
	}
	if s.numbers {
		return json.Number(text), nil
	}
	if bytes.IndexByte(text, '.') < 0 {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return nil, s.fail("number %s is out of range", text)
	}
	return f, nil
}

func (s *scanner) valueMap() (map[string]any, error) {
	if err := s.open('{'); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for n := 0; ; n++ {
		b, more, err := s.nextKey(n)
		if err != nil || !more {
			return out, err
		}
		key := s.in.string(b)
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		if out[key] = v; len(out) == n {
			return nil, s.fail("key %q twice", key)
		}
	}
}

// appendValue writes what value reads.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case json.Number:
		return append(b, v...), nil
	case map[string]any:
		var err error
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			if b, err = appendValue(b, v[k]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		var err error
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return append(b, out...), nil
}

// equalValue compares what value reads; values of other types are never equal.
func equalValue(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case map[string]any:
		bm, ok := b.(map[string]any)
		return ok && (a == nil) == (bm == nil) && maps.EqualFunc(a, bm, equalValue)
	case []any:
		bl, ok := b.([]any)
		return ok && (a == nil) == (bl == nil) && slices.EqualFunc(a, bl, equalValue)
	case string, bool, int64, float64, json.Number:
		return a == b
	}
	return false
}
