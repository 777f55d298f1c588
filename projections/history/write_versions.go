package history

import (
	"fmt"
	"io"
)

// Write writes for people what differs between two versions.
func (v *Versions) Write(w io.Writer, style Style) error {
	p := &page{Style: style}
	version := func(step uint64) string {
		if step == 0 {
			return "nothing"
		}
		return "#" + number(step)
	}
	p.line("%s", p.in(bold, fmt.Sprintf("%s, %s to %s", v.Object.Key(), version(v.From), version(v.To))))
	if p.fields("  ", v.Fields) == 0 {
		p.line("  %s", p.in(dim, "nothing differs"))
	}
	return p.to(w)
}
