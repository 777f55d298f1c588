package archive

import (
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// Damaged says which part of a segment can't be read, and why. It is of class
// events.ErrGone: these events are no longer there. What follows Last can be read.
type Damaged struct {
	Segment     string // its name, "" for a file that is read from a stream
	Frame       int    // counted from 0; -1: the whole segment
	First, Last uint64 // sequences; 0 where even they are unknown
	Err         error
}

func (d *Damaged) Error() string {
	where := "segment"
	if d.Segment != "" {
		where += " " + d.Segment
	}
	if d.Frame >= 0 {
		where = fmt.Sprintf("frame %d of %s", d.Frame, where)
	}
	if d.Last > 0 {
		where += fmt.Sprintf(" (events %d to %d)", d.First, d.Last)
	}
	return fmt.Sprintf("%s is damaged: %v", where, d.Err)
}

func (d *Damaged) Unwrap() error { return d.Err }

// Is makes it one of class events.ErrGone.
func (d *Damaged) Is(target error) bool { return target == events.ErrGone }
