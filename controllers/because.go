package controllers

import "slices"

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

// newest is the event to look up where the trace isn't known, 0 if there is none.
func (b because) newest() uint64 {
	for i := len(b.events) - 1; i >= 0; i-- {
		if b.own[i] {
			return b.events[i]
		}
	}
	if len(b.events) == 0 {
		return 0
	}
	return b.events[len(b.events)-1]
}
