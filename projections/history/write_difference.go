package history

import (
	"fmt"
	"io"
	"strings"
)

// Write writes a difference for people, grouped by resource. Objects of which
// nothing but the status differs are counted, unless the style asks for them.
func (d *Difference) Write(w io.Writer, style Style) error {
	p := &page{Style: style}
	p.line("%s", p.in(bold, d.title(p)))
	for rest := d.Objects; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Object.Resource == rest[0].Object.Resource && rest[n].Object.Group == rest[0].Object.Group {
			n++
		}
		p.group(rest[:n])
		rest = rest[n:]
	}
	return p.to(w)
}

func (d *Difference) title(p *page) string {
	count := map[string]int{}
	for i := range d.Objects {
		switch o := &d.Objects[i]; {
		case o.Recreated:
			count["recreated"]++
		case o.StatusOnly:
			count["changed in status only"]++
		case o.Op == Added:
			count["created"]++
		case o.Op == Removed:
			count["deleted"]++
		default:
			count["changed"]++
		}
	}
	var parts []string
	for _, what := range []string{"created", "deleted", "recreated", "changed", "changed in status only"} {
		if n := count[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing differs"}
	}
	return fmt.Sprintf("%s to %s: %s", p.position(d.From, d.FromTime.IsZero(), p.moment(d.FromTime)), p.position(d.To, d.ToTime.IsZero(), p.moment(d.ToTime)), strings.Join(parts, ", "))
}

func (p *page) position(sequence uint64, empty bool, at string) string {
	if sequence == 0 || empty {
		return "the beginning"
	}
	return fmt.Sprintf("#%d (%s)", sequence, at)
}

// group writes the objects of one resource.
func (p *page) group(objects []Different) {
	p.line("")
	name := objects[0].Object.Resource
	if g := objects[0].Object.Group; g != "" {
		name += "." + g
	}
	p.line("%s", p.in(bold, name))
	quiet := 0
	for i := range objects {
		o := &objects[i]
		if o.StatusOnly && !o.Recreated && !p.Status && o.Op == Changed {
			quiet++
			continue
		}
		p.different(o)
	}
	if quiet > 0 {
		p.line("  %s", p.in(dim, fmt.Sprintf("%d %s in status only (--status shows them)", quiet, map[bool]string{true: "differs", false: "differ"}[quiet == 1])))
	}
}

func (p *page) different(o *Different) {
	sign, color := "~", yellow
	switch {
	case o.Recreated:
		sign = "±"
	case o.Op == Added:
		sign, color = "+", green
	case o.Op == Removed:
		sign, color = "-", red
	}
	name := o.Object.Name
	if o.Object.Namespace != "" {
		name = o.Object.Namespace + "/" + name
	}
	text := o.Summary
	if o.Recreated {
		text = "deleted and created again"
	}
	if text != "" {
		name = pad(name, 40) + "  " + p.in(dim, text)
	}
	p.line("  %s %s", p.in(color, sign), name)
	for _, f := range o.Fields {
		if (!f.Noise || p.All) && (p.Status || rank(f.Path) < rank("status.phase")) {
			p.field("      ", f)
		}
	}
}

// Write writes a plan for people: what comes back, and what changes by it.
func (u *Undo) Write(w io.Writer, style Style) error {
	p := &page{Style: style}
	key := u.Object.Key().String()
	if u.Gone {
		p.line("%s", p.in(bold, fmt.Sprintf("%s is gone: it will be created again as it was at #%d", key, u.To)))
		if u.Words != "" {
			p.line("  %s %s", p.in(green, "+"), u.Words)
		}
		return p.to(w)
	}
	p.line("%s", p.in(bold, fmt.Sprintf("%s goes back to #%d", key, u.To)))
	p.fields("  ", u.Fields)
	return p.to(w)
}
