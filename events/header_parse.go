package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rawHeader is what Parse reads of a header, as it is written.
type rawHeader struct {
	envelope, specVersion, typ, time                  string
	ifVersion, epoch, counter, cause                  string
	id, source, traceparent, actor, reason, note, why string
	verb, component, uid, contentType                 string
}

// field is where a header's value goes, and a bit that tells it from the others;
// nil for a header that isn't an event's.
func (raw *rawHeader) field(name string) (to *string, bit uint32) {
	switch name {
	case "ce-envelope":
		return &raw.envelope, 1 << 0
	case "ce-specversion":
		return &raw.specVersion, 1 << 1
	case "ce-id":
		return &raw.id, 1 << 2
	case "ce-source":
		return &raw.source, 1 << 3
	case "ce-type":
		return &raw.typ, 1 << 4
	case "ce-time":
		return &raw.time, 1 << 5
	case "ce-traceparent":
		return &raw.traceparent, 1 << 6
	case "ce-actor":
		return &raw.actor, 1 << 7
	case "ce-reason":
		return &raw.reason, 1 << 8
	case "ce-note":
		return &raw.note, 1 << 9
	case "ce-why":
		return &raw.why, 1 << 10
	case "ce-verb":
		return &raw.verb, 1 << 11
	case "ce-component":
		return &raw.component, 1 << 12
	case "ce-uid":
		return &raw.uid, 1 << 13
	case "If-Version":
		return &raw.ifVersion, 1 << 14
	case "ce-epoch":
		return &raw.epoch, 1 << 15
	case "ce-counter":
		return &raw.counter, 1 << 16
	case "ce-cause":
		return &raw.cause, 1 << 17
	case "content-type":
		return &raw.contentType, 1 << 18
	}
	return nil, 0
}

// rawOf goes once over a header: a lookup of each name would cost more.
func rawOf(h Header) (raw rawHeader) {
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		if to, _ := raw.field(name); to != nil {
			*to = values[0]
		}
	}
	return raw
}

// Lines is a header that is read line by line: an event is parsed out of it
// without a map being made, which costs as much as the rest.
type Lines struct {
	raw  rawHeader
	seen uint32
}

// Reset forgets all lines.
func (l *Lines) Reset() { *l = Lines{} }

// Add takes in one line. Of a name that comes again the first value counts.
func (l *Lines) Add(name, value string) {
	if to, bit := l.raw.field(name); to != nil && l.seen&bit == 0 {
		*to = value
		l.seen |= bit
	}
}

// Parse is [Parse] of these lines.
func (l *Lines) Parse(subject string, data []byte) (*Event, error) {
	return parse(subject, &l.raw, data)
}

// Parse is the inverse of Subject, Header and Data. It refuses what isn't an
// event (ErrInvalid), and an envelope newer than EnvelopeVersion (*NewerEnvelope).
func Parse(subject string, h Header, data []byte) (*Event, error) {
	raw := rawOf(h)
	return parse(subject, &raw, data)
}

func parse(subject string, raw *rawHeader, data []byte) (*Event, error) {
	if v := raw.envelope; v != "" {
		if n, err := strconv.ParseUint(v, 10, 32); err != nil || n > EnvelopeVersion {
			return nil, &NewerEnvelope{Version: v}
		}
	}
	s, err := ParseSubject(subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if v := raw.specVersion; v != "" && v != specVersion {
		return nil, fmt.Errorf("%w: CloudEvents version %q, want %s", ErrInvalid, v, specVersion)
	}
	e := &Event{
		Prefix: s.Prefix, Reporter: s.Reporter, Key: s.Key,
		ID: unescape(raw.id), Source: unescape(raw.source), Traceparent: unescape(raw.traceparent),
		Actor: unescape(raw.actor), Reason: unescape(raw.reason), Note: unescape(raw.note), Why: unescape(raw.why),
		Verb: unescape(raw.verb), Component: unescape(raw.component), UID: unescape(raw.uid),
		ContentType: unescape(raw.contentType), Data: data,
	}
	t := unescape(raw.typ)
	i := strings.LastIndexByte(t, '.')
	if !strings.HasPrefix(t, typePrefix) || i < len(typePrefix) || i == len(t)-1 {
		return nil, fmt.Errorf("%w: ce-type %q is not %s<resource>.<type>", ErrInvalid, t, typePrefix)
	}
	e.Type = t[i+1:]
	if v := unescape(raw.time); v != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return nil, fmt.Errorf("%w: ce-time %q is not RFC 3339", ErrInvalid, v)
		}
	}
	if err := parseSequence(&e.IfVersion, "If-Version", raw.ifVersion); err != nil {
		return nil, err
	}
	if err := parseSequence(&e.Epoch, "ce-epoch", raw.epoch); err != nil {
		return nil, err
	}
	if v := raw.counter; v != "" {
		if e.Counter, err = parseCounter(v); err != nil {
			return nil, err
		}
	}
	if v := unescape(raw.cause); v != "" {
		e.Cause = make([]uint64, 0, strings.Count(v, ",")+1)
		for part := range strings.SplitSeq(v, ",") {
			n, err := strconv.ParseUint(part, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: ce-cause %q is not a list of sequences", ErrInvalid, v)
			}
			e.Cause = append(e.Cause, n)
		}
	}
	return e, nil
}

func parseSequence(to *uint64, name, v string) (err error) {
	if v == "" {
		return nil
	}
	if *to, err = strconv.ParseUint(v, 10, 64); err != nil {
		return fmt.Errorf("%w: %s %q is not a sequence", ErrInvalid, name, v)
	}
	return nil
}

func parseCounter(v string) (c Counter, err error) {
	inc, n, ok := strings.Cut(v, ".")
	var err1, err2 error
	c.Incarnation, err1 = strconv.ParseUint(inc, 10, 64)
	c.N, err2 = strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Counter{}, fmt.Errorf("%w: ce-counter %q is not <incarnation>.<n>", ErrInvalid, v)
	}
	return c, nil
}

// NewerEnvelope is an event written by a newer version of the program.
type NewerEnvelope struct{ Version string }

func (n *NewerEnvelope) Error() string {
	return "envelope version " + n.Version + " is newer than this program reads: upgrade reckon"
}
