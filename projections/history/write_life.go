package history

import (
	"io"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// Write writes the steps of a life for people: a line each, and below it what
// changed.
func (l *Life) Write(w io.Writer, style Style) error {
	p := &page{Style: style}
	p.line("%s", p.in(bold, l.Object.Key().String()))
	width := len(number(l.Ends))
	if n := len(l.Steps); n > 0 {
		width = len(number(l.Steps[n-1].Sequence))
	}
	var days days
	uid := ""
	for i := range l.Steps {
		s := &l.Steps[i]
		if s.Void == "" && s.UID != "" {
			if uid != "" && uid != s.UID {
				p.line("%s", p.in(dim, "another object of that name (uid "+s.UID+")"))
			}
			uid = s.UID
		}
		days.begin(p, s.Time)
		p.step(s, width)
	}
	return p.to(w)
}

func (p *page) step(s *Step, width int) {
	indent := strings.Repeat(" ", width+18)
	story := s.Story()
	head, typ, color := "", s.Type, typeColor(s.Type)
	switch {
	case s.Void != "":
		head, typ, color = "void: "+s.Void, s.Type, dim
	case len(story) > 0:
		head, story = story[0], story[1:]
	case s.Summary != "":
		head = s.Summary
	}
	if s.Summary != "" && head != s.Summary && s.Void == "" {
		story = append([]string{s.Summary}, story...)
	}
	quiet := len(telling(s.Fields)) == 0 && len(s.Fields) > 0 && !p.All
	if quiet && head == "" {
		head = p.in(dim, "bookkeeping only")
	}
	if s.Void != "" {
		head = p.in(dim, head)
	}
	p.line("%s%s  %s  %s  %s  %s", strings.Repeat(" ", width-len(number(s.Sequence))), p.in(dim, "#"+number(s.Sequence)), p.in(dim, p.clock(s.Time)),
		p.in(color, pad(typ, 13)), p.in(cyan, pad(s.By, 22)), head)
	for _, line := range story {
		p.line("%s%s", indent, line)
	}
	for _, line := range weighed(s.Why) {
		p.line("%s%s", indent, p.in(dim, line))
	}
	p.fields(indent, s.Fields)
}

func typeColor(typ string) string {
	switch typ {
	case events.Created, events.Joined, events.Recovered, events.Scheduled, events.Bound:
		return green
	case events.Deleting, events.Deleted, events.Lost, events.Unschedulable, events.Preempted, events.Released:
		return red
	case events.Reported, events.Progressed:
		return plain
	}
	return yellow
}
