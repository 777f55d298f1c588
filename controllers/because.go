package controllers

import (
	"slices"

	"github.com/reckon-project/reckon/events"
)

// because is what led to a reconcile: the newest events, and the trace of one of
// them. Events about the object itself are kept longest and decide the trace: what
// a user asked of a workload is not forgotten over the reports of its pods.
type because struct {
	events      []uint64 // ascending as they came
	own         []bool   // of each: it is about the object itself
	traceparent string   // "": not known
	ownTrace    bool
}

// maxCause bounds how many events a write names as its cause.
const maxCause = 8

func (b *because) add(sequence uint64, traceparent string, own bool) {
	if slices.Contains(b.events, sequence) {
		return
	}
	if len(b.events) == maxCause {
		oldest := max(0, slices.Index(b.own, false))
		b.events = slices.Delete(b.events, oldest, oldest+1)
		b.own = slices.Delete(b.own, oldest, oldest+1)
	}
	if b.events == nil {
		b.events, b.own = make([]uint64, 0, maxCause), make([]bool, 0, maxCause)
	}
	b.events, b.own = append(b.events, sequence), append(b.own, own)
	if traceparent != "" && (own || !b.ownTrace) {
		b.traceparent, b.ownTrace = traceparent, own
	}
}

// and is what led to a reconcile that answers both b and what came after it.
func (b because) and(after because) because {
	all := because{events: slices.Clone(b.events), own: slices.Clone(b.own), traceparent: b.traceparent, ownTrace: b.ownTrace}
	for i, sequence := range after.events {
		all.add(sequence, "", after.own[i])
	}
	if after.traceparent != "" && (after.ownTrace || !all.ownTrace) {
		all.traceparent, all.ownTrace = after.traceparent, after.ownTrace
	}
	return all
}

// under is the cause of what is written for object o: what led to the reconcile,
// and before it, if none of that is about o itself, the newest decision about o. So
// the way back to what a user wanted isn't lost where a node's failure led here.
func (b because) under(o *events.Object) []uint64 {
	if !o.Exists() || o.Decision == 0 || slices.Contains(b.own, true) || slices.Contains(b.events, o.Decision) {
		return b.events
	}
	newest := b.events[max(0, len(b.events)-maxCause+1):]
	return append([]uint64{o.Decision}, newest...)
}
