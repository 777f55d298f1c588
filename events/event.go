package events

import "time"

// Event is one entry of the log. It is immutable once appended.
type Event struct {
	// Sequence is the event's position in its stream; 0 before it is appended.
	Sequence uint64
	// Stored is the time the stream stored it (for information; the fold uses Time).
	Stored time.Time

	Prefix   string // PrefixDecision, PrefixFact or PrefixVolatile
	Reporter string // who reports, facts only: the node's name, the custom controller's
	Key      Key

	ID          string    // ce-id, unique; also Nats-Msg-Id
	Source      string    // ce-source: the component that appends ("gateway", "scheduler", "agent/n1")
	Type        string    // the last part of ce-type: "created", "scheduled", ...
	Time        time.Time // ce-time
	Traceparent string    // W3C trace context
	Actor       string    // the authenticated user or component behind it
	Cause       []uint64  // sequences of the events that this one answers
	Reason      string    // CamelCase, for people and tools ("ScalingReplicaSet")
	Note        string    // a sentence for people
	Why         string    // ce-why: what a decision weighed, as compact JSON of at most 1 KiB
	Verb        string    // ce-verb: the API verb and subresource behind a gateway event ("patch", "update/scale")

	// IfVersion makes a decision conditional: if the object is not at this
	// version when the event is folded, the event is void. 0: unconditional.
	IfVersion uint64
	// Epoch is the sequence of the leadership event of the component that
	// appends; Component is the name of that leadership. The fold voids older epochs.
	Epoch     uint64
	Component string

	// Facts only: the uid of the object reported on, and the reporter's counter.
	UID     string
	Counter Counter

	ContentType string // ContentObject, ContentPatch; "" for an event without data
	Data        []byte
}

// Counter orders a reporter's facts about one object: a fact whose counter is
// not above the last one folded is void.
type Counter struct {
	Incarnation uint64 // of the reporter, growing with each of its starts
	N           uint64
}

// Less reports whether c is before d.
func (c Counter) Less(d Counter) bool {
	if c.Incarnation != d.Incarnation {
		return c.Incarnation < d.Incarnation
	}
	return c.N < d.N
}

// What Data holds.
const (
	ContentObject = "application/json"             // the whole object
	ContentPatch  = "application/merge-patch+json" // RFC 7386, status.conditions merged by type
)

// Subject is the subject the event is appended on.
func (e *Event) Subject() string {
	switch e.Prefix {
	case PrefixFact:
		return e.Key.FactSubject(e.Reporter)
	case PrefixVolatile:
		return e.Key.VolatileSubject()
	}
	return e.Key.Subject()
}
