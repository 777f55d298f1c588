package events

import "strings"

// Step is one of the things that an event tells people about.
type Step struct{ Reason, Note string }

// JoinSteps gives the Reason and Note of one event that tells of several steps:
// the reasons separated by commas, the notes by line ends. A reason holds no
// comma; the line ends within a note become blanks.
func JoinSteps(steps []Step) (reason, note string) {
	reasons, notes := make([]string, len(steps)), make([]string, len(steps))
	for i, s := range steps {
		reasons[i], notes[i] = s.Reason, strings.ReplaceAll(s.Note, "\n", " ")
	}
	return strings.Join(reasons, ","), strings.Join(notes, "\n")
}

// Steps is the inverse of JoinSteps: what the event tells, one at least. Where
// reasons and notes don't match, all of it is one step.
func (e *Event) Steps() []Step {
	reasons, notes := strings.Split(e.Reason, ","), strings.Split(e.Note, "\n")
	if len(reasons) != len(notes) {
		return []Step{{e.Reason, e.Note}}
	}
	out := make([]Step, len(reasons))
	for i := range reasons {
		out[i] = Step{reasons[i], notes[i]}
	}
	return out
}
