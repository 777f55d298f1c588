package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header is the event's message header in the CloudEvents 1.0 NATS binary
// binding, with the project's extensions. Keys are used exactly as given.
type Header = map[string][]string

const (
	specVersion = "1.0"
	typePrefix  = "dev.reckon."
	// EnvelopeVersion is the newest envelope this program reads. A newer one
	// stops a projection, loudly.
	EnvelopeVersion = 1
)

// Header gives the message header; the subject and data travel beside it.
func (e *Event) Header() Header {
	h := make(Header, 16)
	set := func(k, v string) {
		if v != "" {
			h[k] = []string{v}
		}
	}
	num := func(k string, n uint64) {
		if n != 0 {
			h[k] = []string{strconv.FormatUint(n, 10)}
		}
	}
	set("ce-specversion", specVersion)
	set("ce-id", e.ID)
	set("Nats-Msg-Id", e.ID)
	set("ce-source", e.Source)
	set("ce-type", typePrefix+e.Key.Resource+"."+e.Type)
	set("ce-subject", e.Key.String())
	set("ce-time", e.Time.UTC().Format(time.RFC3339Nano))
	set("ce-traceparent", e.Traceparent)
	set("ce-actor", headerText(e.Actor))
	set("ce-reason", headerText(e.Reason))
	set("ce-note", headerText(e.Note))
	set("ce-why", headerText(e.Why))
	set("ce-verb", e.Verb)
	set("ce-component", e.Component)
	set("ce-uid", e.UID)
	num("If-Version", e.IfVersion)
	num("ce-epoch", e.Epoch)
	if e.Counter != (Counter{}) {
		set("ce-counter", fmt.Sprintf("%d.%d", e.Counter.Incarnation, e.Counter.N))
	}
	if len(e.Cause) > 0 {
		parts := make([]string, len(e.Cause))
		for i, c := range e.Cause {
			parts[i] = strconv.FormatUint(c, 10)
		}
		set("ce-cause", strings.Join(parts, ","))
	}
	set("content-type", e.ContentType)
	return h
}

// headerText keeps text within one header line.
func headerText(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return strings.TrimSpace(s)
	}
	return strings.TrimSpace(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(s))
}

// Parse is the inverse of Subject, Header and Data. It refuses what isn't an
// event (ErrInvalid), and an envelope newer than EnvelopeVersion (*NewerEnvelope).
func Parse(subject string, h Header, data []byte) (*Event, error) {
	s, err := ParseSubject(subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	get := func(k string) string {
		if v := h[k]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if v := get("ce-envelope"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n > EnvelopeVersion {
			return nil, &NewerEnvelope{Version: v}
		}
	}
	e := &Event{
		Prefix: s.Prefix, Reporter: s.Reporter, Key: s.Key,
		ID: get("ce-id"), Source: get("ce-source"), Traceparent: get("ce-traceparent"),
		Actor: get("ce-actor"), Reason: get("ce-reason"), Note: get("ce-note"), Why: get("ce-why"),
		Verb: get("ce-verb"), Component: get("ce-component"), UID: get("ce-uid"),
		ContentType: get("content-type"), Data: data,
	}
	t := get("ce-type")
	if i := strings.LastIndexByte(t, '.'); strings.HasPrefix(t, typePrefix) && i > 0 {
		e.Type = t[i+1:]
	} else {
		return nil, fmt.Errorf("%w: ce-type %q is not %s<resource>.<type>", ErrInvalid, t, typePrefix)
	}
	if v := get("ce-time"); v != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return nil, fmt.Errorf("%w: ce-time %q is not RFC 3339", ErrInvalid, v)
		}
	}
	for k, p := range map[string]*uint64{"If-Version": &e.IfVersion, "ce-epoch": &e.Epoch} {
		if v := get(k); v != "" {
			if *p, err = strconv.ParseUint(v, 10, 64); err != nil {
				return nil, fmt.Errorf("%w: %s %q is not a sequence", ErrInvalid, k, v)
			}
		}
	}
	if v := get("ce-counter"); v != "" {
		inc, n, ok := strings.Cut(v, ".")
		var err1, err2 error
		e.Counter.Incarnation, err1 = strconv.ParseUint(inc, 10, 64)
		e.Counter.N, err2 = strconv.ParseUint(n, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%w: ce-counter %q is not <incarnation>.<n>", ErrInvalid, v)
		}
	}
	if v := get("ce-cause"); v != "" {
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

// NewerEnvelope is an event written by a newer version of the program.
type NewerEnvelope struct{ Version string }

func (n *NewerEnvelope) Error() string {
	return "envelope version " + n.Version + " is newer than this program reads: upgrade reckon"
}
