package history

import (
	"context"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Answer says why something is as it is: in sentences, and as a tree of events
// from those who wanted it to the facts that were asked about.
type Answer struct {
	Object Ref      `json:"object"`
	Field  string   `json:"field,omitempty"`
	Now    []string `json:"now"`   // sentences: how it is
	Roots  []*Node  `json:"roots"` // what began it, oldest first
	Ends   uint64   `json:"ends"`  // the last sequence that was looked at
}

// How a Node hangs under the one above it.
const (
	LinkCause  = "cause"  // it answers that event: its writer recorded so
	LinkOwner  = "owner"  // no cause is recorded; the object belongs to that one
	LinkObject = "object" // no cause is recorded; it is about the object made there
)

// Node is one event of an answer.
type Node struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Object   Ref       `json:"object"`
	Type     string    `json:"type"`
	By       string    `json:"by"`
	ByUser   bool      `json:"byUser,omitempty"` // an intent from outside
	Verb     string    `json:"verb,omitempty"`
	Trace    string    `json:"traceparent,omitempty"`
	Says     []string  `json:"says,omitempty"`   // in words, a line each
	Fields   []Field   `json:"fields,omitempty"` // of a fact
	Void     string    `json:"void,omitempty"`
	Fact     bool      `json:"fact,omitempty"` // what was asked about
	Link     string    `json:"link,omitempty"` // to the node above
	// Missing says what isn't known about where it comes from.
	Missing string `json:"missing,omitempty"`
	// Also are further events that it answers.
	Also []uint64 `json:"also,omitempty"`
	// Hidden: who asks may not get the object.
	Hidden   bool    `json:"hidden,omitempty"`
	Children []*Node `json:"children,omitempty"`
}

// Why tells why the object of a name is as it is, or was as it was in the end.
// may says which objects of the chain may be shown; nil shows all.
func (r *Reader) Why(ctx context.Context, k events.Key, may func(events.Key) bool) (*Answer, error) {
	life, err := r.Object(ctx, k)
	if err != nil {
		return nil, err
	}
	facts, now := explain(life)
	return r.answer(ctx, life, facts, now, may)
}

// WhyField tells which event gave a field its value, and where that came from.
// A field that no version of the object had is an error of class events.ErrNotFound.
func (r *Reader) WhyField(ctx context.Context, k events.Key, field string, may func(events.Key) bool) (*Answer, error) {
	life, err := r.Object(ctx, k)
	if err != nil {
		return nil, err
	}
	at, now, err := explainField(life, field)
	if err != nil {
		return nil, err
	}
	a, err := r.answer(ctx, life, []*Step{at}, now, may)
	if a != nil {
		a.Field = field
	}
	return a, err
}

// answer puts the steps that are to be explained, and what led to them, into a tree.
func (r *Reader) answer(ctx context.Context, life *Life, facts []*Step, now []string, may func(events.Key) bool) (*Answer, error) {
	c := &chain{reader: r, life: life, nodes: map[uint64]*Node{}, may: may}
	for _, fact := range facts {
		n, err := c.reach(ctx, fact.Sequence)
		if err != nil {
			return nil, fmt.Errorf("why %s: %w", life.Object.Key(), err)
		}
		if n.Hidden {
			continue
		}
		n.Fact = true
		if fact.Type == Known {
			if fact.Summary != "" {
				n.Says = []string{fact.Summary}
			}
			continue
		}
		n.Fields = telling(fact.Fields)
		if len(n.Fields) > 0 { // they say more exactly what the words of the API do
			n.Says = append(fact.Story(), weighed(fact.Why)...)
		}
	}
	c.sort()
	return &Answer{Object: life.Object, Now: now, Roots: c.roots, Ends: life.Ends}, nil
}

// telling leaves out the noise.
func telling(fields []Field) []Field {
	var out []Field
	for _, f := range fields {
		if !f.Noise {
			out = append(out, f)
		}
	}
	return out
}
