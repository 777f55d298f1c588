package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The chain of an answer as OTLP/JSON, the body that an OpenTelemetry collector
// takes on /v1/traces (opentelemetry.io/docs/specs/otlp): ids in hexadecimal, 64-bit
// numbers as strings.
type (
	// Traces is an ExportTraceServiceRequest.
	Traces struct {
		ResourceSpans []ResourceSpans `json:"resourceSpans"`
	}
	// ResourceSpans are the spans of one component.
	ResourceSpans struct {
		Resource   Resource     `json:"resource"`
		ScopeSpans []ScopeSpans `json:"scopeSpans"`
	}
	// Resource names a component as service.name.
	Resource struct {
		Attributes []Attribute `json:"attributes"`
	}
	// ScopeSpans are spans with the library that made them.
	ScopeSpans struct {
		Scope Scope  `json:"scope"`
		Spans []Span `json:"spans"`
	}
	// Scope is the library that made spans.
	Scope struct {
		Name string `json:"name"`
	}
	// Span is one event: from its cause's time to its own.
	Span struct {
		TraceID    string      `json:"traceId"`
		SpanID     string      `json:"spanId"`
		ParentID   string      `json:"parentSpanId,omitempty"`
		Name       string      `json:"name"`
		Kind       int         `json:"kind"` // 1: internal
		Start      string      `json:"startTimeUnixNano"`
		End        string      `json:"endTimeUnixNano"`
		Attributes []Attribute `json:"attributes"`
		Links      []Link      `json:"links,omitempty"` // to its other causes
	}
	// Link leads to a span that is a further cause.
	Link struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
	}
	// Attribute is a key with a value.
	Attribute struct {
		Key   string `json:"key"`
		Value Value  `json:"value"`
	}
	// Value is text or a whole number.
	Value struct {
		Text   *string `json:"stringValue,omitempty"`
		Number *string `json:"intValue,omitempty"`
	}
)

// TraceScope names the scope of all spans.
const TraceScope = "reckon.dev/history"

// Trace gives the events of an answer as spans, parents first. Each tree of the
// answer is one trace: the one that its events were recorded in, else one of its
// own. The same answer gives the same ids.
func Trace(a *Answer) *Traces {
	t := &tracer{spans: map[string][]Span{}}
	for _, root := range a.Roots {
		id, parent := traceOf(root)
		t.node(id, parent, root, root.Time)
	}
	out := &Traces{ResourceSpans: []ResourceSpans{}}
	for _, service := range t.services {
		out.ResourceSpans = append(out.ResourceSpans, ResourceSpans{
			Resource:   Resource{[]Attribute{textAttribute("service.name", service), textAttribute("service.namespace", "reckon")}},
			ScopeSpans: []ScopeSpans{{Scope{TraceScope}, t.spans[service]}},
		})
	}
	return out
}

type tracer struct {
	services []string // in order of their first span
	spans    map[string][]Span
}

func (t *tracer) node(trace, parent string, n *Node, began time.Time) {
	if began.After(n.Time) { // another machine's clock
		began = n.Time
	}
	s := Span{
		TraceID: trace, SpanID: spanID(trace, n.Sequence), ParentID: parent, Name: n.Object.String() + " " + n.Type, Kind: 1,
		Start: nanoseconds(began), End: nanoseconds(n.Time), Attributes: spanAttributes(n),
	}
	for _, also := range n.Also {
		s.Links = append(s.Links, Link{trace, spanID(trace, also)})
	}
	service := n.By
	if n.ByUser || service == "" {
		service = "gateway"
	}
	if _, ok := t.spans[service]; !ok {
		t.services = append(t.services, service)
	}
	t.spans[service] = append(t.spans[service], s)
	for _, child := range n.Children {
		t.node(trace, s.SpanID, child, n.Time)
	}
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func spanAttributes(n *Node) []Attribute {
	sequence := number(n.Sequence)
	out := []Attribute{{"reckon.sequence", Value{Number: &sequence}}}
	for _, a := range []struct{ k, v string }{
		{"reckon.type", n.Type}, {"reckon.by", n.By}, {"reckon.verb", n.Verb}, {"reckon.says", strings.Join(n.Says, "\n")},
		{"reckon.link", n.Link}, {"reckon.missing", n.Missing}, {"reckon.void", n.Void}, {"reckon.traceparent", n.Trace},
		{"k8s.namespace.name", n.Object.Namespace}, {"k8s." + singular(n.Object.Resource) + ".name", n.Object.Name},
	} {
		if a.v != "" {
			out = append(out, textAttribute(a.k, a.v))
		}
	}
	if n.ByUser {
		out = append(out, textAttribute("enduser.id", n.By))
	}
	return out
}

func textAttribute(key, value string) Attribute { return Attribute{key, Value{Text: &value}} }

// traceOf is the trace that a tree belongs to, and the span that it hangs under
// if whoever began it sent one that is recorded elsewhere.
func traceOf(root *Node) (trace, parent string) {
	if id, span, sampled := splitTraceparent(root.Trace); id != "" {
		if sampled {
			parent = span
		}
		return id, parent
	}
	if id := recordedTrace(root.Children); id != "" {
		return id, ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %d", root.Sequence, root.Object.Key(), root.Time.UnixNano()))
	return hex.EncodeToString(sum[:16]), ""
}

// recordedTrace is the trace of the first of some nodes, or below them, that has one.
func recordedTrace(nodes []*Node) string {
	for _, n := range nodes {
		if id, _, _ := splitTraceparent(n.Trace); id != "" {
			return id
		}
		if id := recordedTrace(n.Children); id != "" {
			return id
		}
	}
	return ""
}

func splitTraceparent(v string) (trace, span string, sampled bool) {
	if len(v) != 55 {
		return "", "", false
	}
	return v[3:35], v[36:52], v[54]&1 == 1
}

// spanID is the span of an event in a trace.
func spanID(trace string, sequence uint64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(trace), sequence))
	return hex.EncodeToString(sum[:8])
}
