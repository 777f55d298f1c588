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

// rawOf goes once over a header: a lookup of each name would cost more.
func rawOf(h Header) (raw rawHeader) {
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		v := values[0]
		switch name {
		case "ce-envelope":
			raw.envelope = v
		case "ce-specversion":
			raw.specVersion = v
		case "ce-id":
			raw.id = v
		case "ce-source":
			raw.source = v
		case "ce-type":
			raw.typ = v
		case "ce-time":
			raw.time = v
		case "ce-traceparent":
			raw.traceparent = v
		case "ce-actor":
			raw.actor = v
		case "ce-reason":
			raw.reason = v
		case "ce-note":
			raw.note = v
		case "ce-why":
			raw.why = v
		case "ce-verb":
			raw.verb = v
		case "ce-component":
			raw.component = v
		case "ce-uid":
			raw.uid = v
		case "If-Version":
			raw.ifVersion = v
		case "ce-epoch":
			raw.epoch = v
		case "ce-counter":
			raw.counter = v
		case "ce-cause":
			raw.cause = v
		case "content-type":
			raw.contentType = v
		}
	}
	return raw
}

// Parse is the inverse of Subject, Header and Data. It refuses what isn't an
// event (ErrInvalid), and an envelope newer than EnvelopeVersion (*NewerEnvelope).
func Parse(subject string, h Header, data []byte) (*Event, error) {
	raw := rawOf(h)
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
