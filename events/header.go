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
// Texts are percent-encoded as the CloudEvents binding has it, so no text can
// end a header line or lose a blank at its ends. ce-envelope is written once
// there is a second version of the envelope; without it an event is of version 1.
func (e *Event) Header() Header {
	h := make(Header, 20)
	set := func(k, v string) {
		if v != "" {
			h[k] = []string{escape(v)}
		}
	}
	num := func(k string, n uint64) {
		if n != 0 {
			h[k] = []string{strconv.FormatUint(n, 10)}
		}
	}
	if EnvelopeVersion > 1 {
		num("ce-envelope", EnvelopeVersion)
	}
	set("ce-specversion", specVersion)
	set("ce-id", e.ID)
	set("Nats-Msg-Id", e.ID)
	set("ce-source", e.Source)
	set("ce-type", typePrefix+e.Key.Resource+"."+e.Type)
	set("ce-subject", e.Key.String())
	h["ce-time"] = []string{e.Time.UTC().Format(time.RFC3339Nano)}
	set("ce-traceparent", e.Traceparent)
	set("ce-actor", e.Actor)
	set("ce-reason", e.Reason)
	set("ce-note", e.Note)
	set("ce-why", e.Why)
	set("ce-verb", e.Verb)
	set("ce-component", e.Component)
	set("ce-uid", e.UID)
	num("If-Version", e.IfVersion)
	num("ce-epoch", e.Epoch)
	if e.Counter != (Counter{}) {
		h["ce-counter"] = []string{fmt.Sprintf("%d.%d", e.Counter.Incarnation, e.Counter.N)}
	}
	if len(e.Cause) > 0 {
		var b []byte
		for i, c := range e.Cause {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, c, 10)
		}
		h["ce-cause"] = []string{string(b)}
	}
	set("content-type", e.ContentType)
	return h
}

// plainHeader: bytes that a header value carries as they are.
func plainHeader(c byte) bool { return c > ' ' && c < 0x7f && c != '%' && c != '"' }

// escape percent-encodes a header value.
func escape(s string) string {
	n := 0
	for i := range len(s) {
		if !plainHeader(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plainHeader(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// unescape is the inverse of escape; what isn't an encoding stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) byte {
	if c >= 'a' {
		c -= 'a' - 'A'
	}
	return byte(strings.IndexByte(hexDigits, c))
}

// oneLine puts text on one line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
