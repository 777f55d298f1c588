package simulation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// history is the log by sequence.
type history map[uint64]*events.Event

// untraced says what of the log can't be explained: a container's start that
// doesn't go back, cause by cause, to something that a user asked for; a decision in
// no trace; an event in another trace than all that it answers. "": all can be.
func (h history) untraced() string {
	for _, e := range h {
		if e.Prefix == events.PrefixDecision && strings.HasPrefix(e.Actor, "system:") && e.Traceparent == "" {
			return fmt.Sprintf("event %d (%s) is in no trace", e.Sequence, line(e))
		}
		if !h.sameTrace(e) {
			return fmt.Sprintf("event %d (%s) is in trace %q, what it answers in others:\n%s", e.Sequence, line(e), e.Traceparent, h.way(e))
		}
		started := e.Prefix == events.PrefixFact && e.Key.Resource == "pods" && strings.Contains(e.Reason, "Started")
		if started && !slices.ContainsFunc(h.roots(e), byUser) {
			return fmt.Sprintf("event %d (%s, cause %v) goes back to no user:\n%s", e.Sequence, line(e), e.Cause, h.way(e))
		}
	}
	return ""
}

// sameTrace leaves out nodes: heartbeats, or none, begin traces.
func (h history) sameTrace(e *events.Event) bool {
	traced := false
	if e.Key.Resource == "nodes" {
		return true
	}
	for _, sequence := range e.Cause {
		cause := h[sequence]
		if cause == nil || cause.Traceparent == "" {
			continue
		}
		if traced = true; cause.Traceparent == e.Traceparent {
			return true
		}
	}
	return !traced
}

// byUser reports what the simulation's users did; its API has them as service accounts.
func byUser(e *events.Event) bool {
	return strings.HasSuffix(e.Actor, ":alice") || strings.HasSuffix(e.Actor, ":bob") || strings.HasSuffix(e.Actor, ":carol")
}

// roots are the events without a cause that e goes back to.
func (h history) roots(e *events.Event) (out []*events.Event) {
	seen := map[uint64]bool{}
	for todo := []uint64{e.Sequence}; len(todo) > 0; todo = todo[1:] {
		at := h[todo[0]]
		if at == nil || seen[at.Sequence] {
			continue
		}
		seen[at.Sequence] = true
		if len(at.Cause) == 0 {
			out = append(out, at)
		}
		todo = append(todo, at.Cause...)
	}
	return out
}

// way is what e goes back to, for people.
func (h history) way(e *events.Event) string {
	var b strings.Builder
	seen := map[uint64]bool{}
	for todo := []uint64{e.Sequence}; len(todo) > 0; todo = todo[1:] {
		if at := h[todo[0]]; at != nil && !seen[at.Sequence] {
			seen[at.Sequence] = true
			fmt.Fprintf(&b, "%d %v %.12s %s\n", at.Sequence, at.Cause, at.Traceparent, line(at))
			todo = append(todo, at.Cause...)
		}
	}
	return b.String()
}
