package history

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Step is one event of an object and what it did.
type Step struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Type     string    `json:"type"`
	By       string    `json:"by"` // for people: "admin", "deployment-controller", "node n1"
	Actor    string    `json:"actor,omitempty"`
	Source   string    `json:"source,omitempty"`
	Reporter string    `json:"reporter,omitempty"`
	Verb     string    `json:"verb,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Note     string    `json:"note,omitempty"`
	Why      string    `json:"why,omitempty"` // what a decision weighed, as its writer's JSON
	Cause    []uint64  `json:"cause,omitempty"`
	Trace    string    `json:"traceparent,omitempty"`
	UID      string    `json:"uid,omitempty"`     // of the incarnation
	Void     string    `json:"void,omitempty"`    // why it had no effect
	Summary  string    `json:"summary,omitempty"` // of what was created
	Fields   []Field   `json:"fields,omitempty"`  // not of a creation, nor of a deletion

	before, after *events.Object
}

// Known is the Type of the step that a life begins with when the object is older
// than the history that is kept: no event, but what the checkpoint at the
// history's edge has. Its Sequence is the version that the object had.
const Known = "known"

func knownStep(o *events.Object, at time.Time) Step {
	return Step{
		Sequence: o.Version, Time: at, Type: Known, UID: string(o.Meta().GetUID()), after: o,
		Note: "it is older than the history that is kept", Summary: Summary(o.Value),
	}
}

// After is the object after the step, nil if it is gone.
func (s *Step) After() *events.Object { return s.after }

// newStep describes a change.
func newStep(c projections.Change) (Step, error) {
	e := c.Event
	s := Step{
		Sequence: e.Sequence, Time: e.Time, Type: e.Type, By: By(e),
		Actor: e.Actor, Source: e.Source, Reporter: e.Reporter, Verb: e.Verb,
		Reason: e.Reason, Note: e.Note, Why: e.Why, Cause: e.Cause, Trace: e.Traceparent,
		before: c.Old, after: c.New,
	}
	if c.Void != nil {
		s.Void = strings.TrimPrefix(c.Void.Error(), "void: ")
	}
	switch {
	case c.New.Exists():
		s.UID = string(c.New.Meta().GetUID())
	case c.Old.Exists():
		s.UID = string(c.Old.Meta().GetUID())
	}
	switch {
	case c.Void != nil || !c.New.Exists():
	case !c.Old.Exists():
		if s.Summary = Summary(c.New.Value); strings.HasPrefix(e.Note, s.Summary) {
			s.Summary = "" // the note says it
		}
	default:
		var err error
		if s.Fields, err = Fields(e.Key, c.Old.Value, c.New.Value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// By names for people who is behind an event: the user or component, or the
// node that reported.
func By(e *events.Event) string {
	switch {
	case e.Prefix == events.PrefixFact && !strings.HasPrefix(e.Reporter, "controller:"):
		return "node " + e.Reporter
	case e.Actor == "":
		return e.Source
	}
	for _, p := range []struct{ prefix, instead string }{{"system:serviceaccount:kube-system:", ""}, {"system:node:", "node "}, {"system:", ""}} {
		if name, ok := strings.CutPrefix(e.Actor, p.prefix); ok {
			return p.instead + name
		}
	}
	return e.Actor
}

// ByUser reports whether a step was asked for by somebody outside: not by a
// component of the cluster.
func (s *Step) ByUser() bool { return byUser(s.Actor, s.Source) }

func byUser(actor, source string) bool {
	switch {
	case actor == "" || source != "gateway":
		return false
	case strings.HasPrefix(actor, "system:serviceaccount:"):
		return !strings.HasPrefix(actor, "system:serviceaccount:kube-system:")
	}
	return !strings.HasPrefix(actor, "system:")
}

// classified are the reasons that the gateway gives by itself: they say no more
// than the type and the fields.
var classified = map[string]bool{
	"": true, "Created": true, "Updated": true, "Patched": true, "Scaled": true, "Paused": true, "Resumed": true, "Restarted": true,
	"Deleting": true, "Deleted": true, "Cordoned": true, "Uncordoned": true, "NodeJoined": true, "UpdatedStatus": true, "UpdatedScale": true,
	"UpdatedEphemeralcontainers": true, "UpdatedResize": true, "UpdatedBinding": true, "UpdatedApproval": true,
}

// Story is what a step tells in words beyond its type and fields, a line each:
// "ScalingReplicaSet: Scaled up replica set web-1 from 0 to 3".
func (s *Step) Story() []string {
	e := events.Event{Reason: s.Reason, Note: s.Note}
	var out []string
	for _, step := range e.Steps() {
		switch {
		case classified[step.Reason] && (len(s.Fields) > 0 || step.Note == ""):
		case classified[step.Reason]:
			out = append(out, step.Note)
		case step.Note == "":
			out = append(out, step.Reason)
		default:
			out = append(out, step.Reason+": "+step.Note)
		}
	}
	return out
}

// Value is the object after the step, for showing; the values of a Secret are hidden.
func (s *Step) Value() (runtime.Object, bool) {
	if !s.after.Exists() {
		return nil, false
	}
	return Shown(s.after), true
}
