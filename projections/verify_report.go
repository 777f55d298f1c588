package projections

import (
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Report is what Verify found.
type Report struct {
	First, Last uint64       // the events that were folded
	Base        uint64       // the checkpoint that the fold began with; 0: it began at the beginning
	Time        time.Time    // of the last event
	Chain       events.Chain // after the last event
	Chained     uint64       // 0, but where the chain began later than the log
	Voids       uint64
	Checkpoints int // that agree with the log in all
	Unsigned    int // of these without a signature: anybody could have written them
	Anchors     int // that agree
	Live        bool
	Findings    []Finding // in order of their events; none: all is well
}

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// Finding is something that is wrong, and where: from From to To, inclusive.
type Finding struct {
	From, To uint64
	Text     string
}

func (f Finding) String() string { return f.Text }

// span says which events a range is.
func span(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("event %d", from)
	}
	return fmt.Sprintf("events %d to %d", from, to)
}
