package simulation

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// line is an event for people.
func line(e *events.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Key, e.Type)
	by := e.Actor
	if i := strings.LastIndexByte(by, ':'); i >= 0 {
		by = by[i+1:]
	}
	if e.Prefix == events.PrefixFact {
		by = fmt.Sprintf("%s (%d.%d)", e.Reporter, e.Counter.Incarnation, e.Counter.N)
	}
	if by == "" {
		by = e.Source
	}
	fmt.Fprintf(&b, " by %s", by)
	if e.Epoch != 0 {
		fmt.Fprintf(&b, " in epoch %d", e.Epoch)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " [%s: %s]", e.Reason, e.Note)
	}
	if len(e.Data) > 0 && e.ContentType == events.ContentPatch {
		data := e.Data
		if len(data) > 160 {
			data = append(data[:160:160], "..."...)
		}
		fmt.Fprintf(&b, " %s", data)
	}
	return b.String()
}

// encode is all of an event, byte for byte, but for its cause and trace (see doc.go).
func encode(e *events.Event) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %d %s\n", e.Sequence, e.Stored.UnixNano(), e.Subject())
	h := e.Header()
	delete(h, "ce-cause")
	delete(h, "ce-traceparent")
	for _, k := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&b, "%s: %q\n", k, h[k])
	}
	b.Write(e.Data)
	return b.Bytes()
}
