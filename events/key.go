package events

import (
	"fmt"
	"strings"
)

// Key names an object of the cluster. Group is "" for the core group, Namespace
// is "" for a cluster-scoped object; Resource is the plural ("pods").
type Key struct {
	Group     string
	Resource  string
	Namespace string
	Name      string
}

// String is how people read a key: "pods/default/web-1", "deployments.apps/prod/web", "nodes/n1".
func (k Key) String() string {
	r := k.Resource
	if k.Group != "" {
		r += "." + k.Group
	}
	if k.Namespace == "" {
		return r + "/" + k.Name
	}
	return r + "/" + k.Namespace + "/" + k.Name
}

// The first token of a subject tells the sorts of events apart.
const (
	PrefixDecision = "log"      // decisions: the object's own history
	PrefixFact     = "fact"     // facts: status reported by a node or a custom controller
	PrefixVolatile = "volatile" // objects that are kept for a while only (stream VOLATILE)
)

// Subject is where decisions about the object are appended:
// log.<group>.<resource>.<namespace>.<name>.
func (k Key) Subject() string { return PrefixDecision + "." + k.tokens() }

// FactSubject is where reporter appends facts about the object.
func (k Key) FactSubject(reporter string) string {
	return PrefixFact + "." + EncodeToken(reporter) + "." + k.tokens()
}

// VolatileSubject is where an object of the VOLATILE stream lives.
func (k Key) VolatileSubject() string { return PrefixVolatile + "." + k.tokens() }

func (k Key) tokens() string {
	group, namespace := k.Group, k.Namespace
	if group == "" {
		group = "core"
	}
	if namespace == "" {
		namespace = "_"
	}
	return EncodeToken(group) + "." + EncodeToken(k.Resource) + "." + EncodeToken(namespace) + "." + EncodeToken(k.Name)
}

// Subject is a parsed subject: its sort, the reporter (facts only) and the object.
type Subject struct {
	Prefix   string
	Reporter string
	Key      Key
}

// ParseSubject is the inverse of Key.Subject, FactSubject and VolatileSubject.
func ParseSubject(s string) (Subject, error) {
	var out Subject
	var buf [7]string // one more than the longest subject has
	tokens := buf[:0]
	for rest, more := s, true; more && len(tokens) < len(buf); {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		tokens = append(tokens, token)
	}
	out.Prefix = tokens[0]
	rest := tokens[1:]
	switch out.Prefix {
	case PrefixDecision, PrefixVolatile:
	case PrefixFact:
		if len(rest) > 0 {
			reporter, err := DecodeToken(rest[0])
			if err != nil {
				return Subject{}, fmt.Errorf("subject %q: %w", s, err)
			}
			out.Reporter, rest = reporter, rest[1:]
		}
	default:
		return Subject{}, fmt.Errorf("subject %q starts with none of log, fact, volatile", s)
	}
	if len(rest) != 4 {
		return Subject{}, fmt.Errorf("subject %q: want <group>.<resource>.<namespace>.<name> after its prefix, got %d tokens", s, len(rest))
	}
	for i, field := range []*string{&out.Key.Group, &out.Key.Resource, &out.Key.Namespace, &out.Key.Name} {
		v, err := DecodeToken(rest[i])
		if err != nil {
			return Subject{}, fmt.Errorf("subject %q: %w", s, err)
		}
		*field = v
	}
	if out.Key.Group == "core" {
		out.Key.Group = ""
	}
	if out.Key.Namespace == "_" {
		out.Key.Namespace = ""
	}
	return out, nil
}

// MaxSubject is the longest subject in bytes that may be appended.
const MaxSubject = 1000

const hexDigits = "0123456789ABCDEF"

// mustEncode: the bytes that a token can't carry.
var mustEncode = func() (t [256]bool) {
	for _, c := range ".*>%\x7f" {
		t[c] = true
	}
	for c := range ' ' + 1 {
		t[c] = true
	}
	return t
}()

// EncodeToken percent-encodes what a subject token can't carry: '.', '*', '>',
// '%', blanks and control bytes.
func EncodeToken(s string) string {
	n := 0
	for i := 0; i < len(s); i++ {
		if mustEncode[s[i]] {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		if c := s[i]; mustEncode[c] {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// DecodeToken is the inverse of EncodeToken. It takes only what EncodeToken
// writes, so that one object has one subject.
func DecodeToken(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("empty token")
	}
	if EncodeToken(s) == s { // most tokens: nothing in them to decode
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			b = append(b, c)
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("token %q ends within a percent-encoding", s)
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("token %q: bad percent-encoding at %d", s, i)
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	if out := string(b); EncodeToken(out) != s {
		return "", fmt.Errorf("token %q is not in its one encoded form", s)
	} else {
		return out, nil
	}
}
