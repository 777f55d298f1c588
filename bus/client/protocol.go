package client

import (
	"encoding/json"
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// Subject is where an identity finds a service of the gateway: "conn", "do",
// "follow", "log", "lead" or "fact.<group>.<resource>.<namespace>.<name>".
func Subject(identity, service string) string {
	return "api." + events.EncodeToken(identity) + "." + service
}

// Headers of one API request as one message (service "do").
const (
	HeaderMethod = "Reckon-Method" // default: GET
	HeaderPath   = "Reckon-Path"   // with its query
	HeaderStatus = "Reckon-Status" // of the answer: the HTTP status
)

// Resource is what is read: all objects of a resource, or those of a namespace.
type Resource struct {
	Group     string `json:"group"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
}

// LogRequest asks for what happened to resources after a position.
type LogRequest struct {
	Resources []Resource `json:"resources"`
	// After is the position that is known. 0: "follow" begins with the objects
	// that there are, "log" answers the present position.
	After uint64 `json:"after,omitempty"`
	// Wait is how many seconds the answer of "log" may wait for news; 0: 20, at most 60.
	Wait int `json:"wait,omitempty"`
}

// Reach, on a tunnel to "follow" after its request, asks for a batch with a
// position of at least that.
type Reach struct {
	Reach uint64 `json:"reach"`
}

// LogBatch is the answer to "log", and each line that "follow" sends.
type LogBatch struct {
	// Position is up to where the log was looked through; 0: more objects follow.
	Position uint64   `json:"position,omitempty"`
	Objects  []Object `json:"objects,omitempty"`
	Events   []Event  `json:"events,omitempty"`
	Error    *Error   `json:"error,omitempty"`
}

// Object is an object as the fold holds it.
type Object struct {
	Version uint64          `json:"version"`
	Group   string          `json:"group"`
	Name    string          `json:"resource"`
	Value   json.RawMessage `json:"value"`
}

// Event is one event that had an effect.
type Event struct {
	Sequence uint64            `json:"sequence"`
	Subject  string            `json:"subject"`
	Type     string            `json:"type"`
	Header   map[string]string `json:"header"`
	Data     json.RawMessage   `json:"data,omitempty"` // the object, or a merge patch of it
}

// Stored is the answer to a fact.
type Stored struct {
	Sequence uint64 `json:"sequence,omitempty"`
	// Void says that it had no effect: the object is gone or another one, or the
	// counter isn't above the last one.
	Void  bool   `json:"void,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// LeadRequest is the first line on a tunnel to "lead", Elected the line that
// says that the other end leads, until the tunnel ends.
type LeadRequest struct {
	Holder string `json:"holder"`
}

// Elected answers LeadRequest.
type Elected struct {
	Epoch uint64 `json:"epoch,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Error is a refusal. Class is one of the classes of package events.
type Error struct {
	Class   string `json:"class"`
	Message string `json:"message"`
}

var classes = map[string]error{
	"not found": events.ErrNotFound, "conflict": events.ErrConflict, "exists": events.ErrExists, "gone": events.ErrGone,
	"invalid": events.ErrInvalid, "void": events.ErrVoid, "unavailable": events.ErrUnavailable,
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the class; one that isn't known is ErrUnavailable.
func (e *Error) Unwrap() error {
	if class, ok := classes[e.Class]; ok {
		return class
	}
	return events.ErrUnavailable
}

// AsError makes the refusal of an error of a class.
func AsError(class error, format string, args ...any) *Error {
	return &Error{Class: class.Error(), Message: fmt.Sprintf(format, args...)}
}

// event is the wire's event as the fold takes it.
func (e Event) event() (*events.Event, error) {
	h := make(events.Header, len(e.Header))
	for name, value := range e.Header {
		h[name] = []string{value}
	}
	out, err := events.Parse(e.Subject, h, e.Data)
	if err != nil {
		return nil, fmt.Errorf("sequence %d on %s: %w", e.Sequence, e.Subject, err)
	}
	out.Sequence, out.Stored = e.Sequence, out.Time
	return out, nil
}

// WireEvent is an event as it goes over the wire.
func WireEvent(e *events.Event) Event {
	h := e.Header()
	out := Event{Sequence: e.Sequence, Subject: e.Subject(), Type: e.Type, Header: make(map[string]string, len(h))}
	for name, values := range h {
		out.Header[name] = values[0]
	}
	if len(e.Data) > 0 && json.Valid(e.Data) { // a deletion may carry anything
		out.Data = e.Data
	}
	return out
}
