package events

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of JSON, as encoding/json does.
const maxDepth = 10000

// scanner reads JSON (RFC 8259) in one pass, without building a tree.
// Everything it returns may point into data.
type scanner struct {
	data    []byte
	pos     int
	depth   int
	numbers bool // value gives json.Number, not int64 and float64
	in      *interner
	share   bool // with other objects; needs in
}

func (s *scanner) fail(format string, args ...any) error {
	return fmt.Errorf("%w: JSON at byte %d: %s", ErrInvalid, s.pos, fmt.Sprintf(format, args...))
}

// peek skips blanks and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// end fails unless only blanks are left.
func (s *scanner) end() error {
	if s.peek() != 0 || s.pos < len(s.data) {
		return s.fail("more after the value")
	}
	return nil
}

// open enters an object or list.
func (s *scanner) open(bracket byte) error {
	if s.peek() != bracket {
		return s.fail("want %q", bracket)
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail("nested too deep")
	}
	s.pos++
	return nil
}

// nextKey gives an object's next key, its value being next; n is how many were
// read before. At the object's end more is false.
func (s *scanner) nextKey(n int) (key []byte, more bool, err error) {
	more, err = s.next(n, '}')
	if err != nil || !more {
		return nil, false, err
	}
	if key, err = s.text(); err != nil {
		return nil, false, err
	}
	return key, true, s.colon()
}

func (s *scanner) colon() error {
	if s.peek() != ':' {
		return s.fail("want ':' after a key")
	}
	s.pos++
	return nil
}

// next moves to a list's next element; n is how many were read before.
func (s *scanner) next(n int, closing byte) (more bool, err error) {
	c := s.peek()
	if c == closing {
		s.pos++
		s.depth--
		return false, nil
	}
	if n > 0 {
		if c != ',' {
			return false, s.fail("want ',' or %q", closing)
		}
		s.pos++
	}
	return true, nil
}

// plainByte: bytes of a string that stand for themselves.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainUntil is the index from i of the first byte of a string that doesn't
// stand for itself. Eight bytes are looked at at once.
func (s *scanner) plainUntil(i int) int {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	for ; i+8 <= len(s.data); i += 8 {
		x := binary.LittleEndian.Uint64(s.data[i:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		// The lowest bit that is set is that of the first such byte: control, quote, backslash, not ASCII.
		if m := (x | (x-' '*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(s.data) && plainByte[s.data[i]] {
		i++
	}
	return i
}

// text reads a string, unescaped, with invalid UTF-8 replaced.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("want a string")
	}
	start := s.pos
	plain, ascii := true, true
	for i := s.plainUntil(start + 1); i < len(s.data); i++ {
		c := s.data[i]
		if plainByte[c] {
			continue
		}
		switch {
		case c == '"':
			s.pos = i + 1
			if plain && (ascii || utf8.Valid(s.data[start+1:i])) {
				return s.data[start+1 : i], nil
			}
			var out string
			if err := json.Unmarshal(s.data[start:i+1], &out); err != nil {
				return nil, s.fail("%v", err)
			}
			return []byte(out), nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return nil, s.fail("control byte in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, s.fail("string without end")
}

// skipText reads over a string.
func (s *scanner) skipText() error {
	if s.peek() != '"' {
		return s.fail("want a string")
	}
	for i := s.plainUntil(s.pos + 1); i < len(s.data); i++ {
		c := s.data[i]
		switch {
		case plainByte[c] || c >= utf8.RuneSelf:
		case c == '"':
			s.pos = i + 1
			return nil
		case c < ' ':
			return s.fail("control byte in a string")
		default:
			i++
			if i < len(s.data) && s.data[i] == 'u' {
				for range 4 {
					if i++; i >= len(s.data) || !isHex(s.data[i]) {
						return s.fail("bad escape in a string")
					}
				}
			} else if i >= len(s.data) || strings.IndexByte(`"\/bfnrt`, s.data[i]) < 0 {
				return s.fail("bad escape in a string")
			}
		}
	}
	return s.fail("string without end")
}

func isHex(c byte) bool {
	return c-'0' <= 9 || c-'a' <= 5 || c-'A' <= 5
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	s.peek()
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return s.fail("want %s", word)
	}
	s.pos += len(word)
	return nil
}

// number reads a number's text.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	start, i := s.pos, s.pos
	digits := func() bool {
		from := i
		for i < len(s.data) && s.data[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	at := func(set string) bool {
		for j := range len(set) {
			if i < len(s.data) && s.data[i] == set[j] {
				i++
				return true
			}
		}
		return false
	}
	at("-")
	if !at("0") && !digits() {
		return nil, s.fail("want a value")
	}
	if at(".") && !digits() {
		return nil, s.fail("bad number")
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return nil, s.fail("bad number")
		}
	}
	s.pos = i
	return s.data[start:i], nil
}

// skip reads one value and gives its bytes.
func (s *scanner) skip() ([]byte, error) {
	c := s.peek()
	start := s.pos
	var err error
	switch c {
	case '"':
		err = s.skipText()
	case '{':
		err = s.open('{')
		var more bool
		for n := 0; err == nil; n++ {
			if more, err = s.next(n, '}'); err != nil || !more {
				break
			}
			if err = s.skipText(); err == nil {
				err = s.colon()
			}
			if err == nil {
				_, err = s.skip()
			}
		}
	case '[':
		err = s.open('[')
		var more bool
		for n := 0; err == nil; n++ {
			if more, err = s.next(n, ']'); err != nil || !more {
				break
			}
			_, err = s.skip()
		}
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		err = s.literal("null")
	default:
		_, err = s.number()
	}
	return s.data[start:s.pos], err
}
