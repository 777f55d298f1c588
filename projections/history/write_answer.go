package history

import (
	"fmt"
	"io"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// Write writes an answer for people: the sentences, then the tree, oldest first.
// What was asked about has a full dot, what led to it an empty one.
func (a *Answer) Write(w io.Writer, style Style) error {
	p := &page{Style: style}
	name := a.Object.Key().String()
	if a.Field != "" {
		name += " " + a.Field
	}
	p.line("%s", p.in(bold, name))
	for _, s := range a.Now {
		p.line("  %s", s)
	}
	t := treeWriter{page: p, width: len(number(a.Ends))}
	for _, root := range a.Roots {
		p.line("")
		t.node(root, "", "")
	}
	return p.to(w)
}

type treeWriter struct {
	*page
	width int
	days  days
}

// chainShown is how many events of a chain without branches are shown at its ends.
const chainShown = 3

// node writes an event and what follows from it. first stands before its line,
// rest before the lines below.
func (t *treeWriter) node(n *Node, first, rest string) {
	t.days.begin(t.page, n.Time)
	dot := "○"
	if n.Fact {
		dot = t.in(bold, "●")
	}
	t.line("%s%s  %s  %s%s %s", strings.Repeat(" ", t.width-min(t.width, len(number(n.Sequence)))), t.in(dim, "#"+number(n.Sequence)),
		t.in(dim, t.clock(n.Time)), t.in(dim, first), dot, t.headline(n))
	margin := strings.Repeat(" ", t.width+17) + t.in(dim, rest)
	bar := "  "
	if len(n.Children) > 0 {
		bar = t.in(dim, "│ ")
	}
	for _, s := range t.remarks(n) {
		t.line("%s%s  %s", margin, bar, s)
	}
	t.fields(margin+bar+"  ", n.Fields)
	for i, child := range n.Children {
		branch, below := "├─", "│ "
		if i == len(n.Children)-1 {
			branch, below = "└─", "  "
		}
		if left, tail := t.long(child); left > 0 {
			t.line("%s%s", margin, t.in(dim, fmt.Sprintf("%s … %d events of %s (--all shows them)", branch, left, chainObjects(child, tail))))
			t.node(tail, rest+below+"└─", rest+below+"  ")
			continue
		}
		t.node(child, rest+branch, rest+below)
	}
}

// long finds a long chain of single events that lead to something else: how
// many are left out, and where it goes on.
func (t *treeWriter) long(n *Node) (left int, tail *Node) {
	if t.All {
		return 0, nil
	}
	chain := []*Node{n}
	for len(n.Children) == 1 && !n.Fact {
		n = n.Children[0]
		chain = append(chain, n)
	}
	if left = len(chain) - chainShown; left < 3 {
		return 0, nil
	}
	return left, chain[left]
}

// chainObjects names what the events left out are about.
func chainObjects(from, to *Node) string {
	var kinds []string
	seen := map[string]bool{}
	for n := from; n != to; n = n.Children[0] {
		if k := n.Object.Resource; !seen[k] {
			seen[k] = true
			kinds = append(kinds, k)
		}
	}
	return strings.Join(kinds, ", ")
}

// phrases say what somebody did; %s is the object.
var phrases = map[string]string{
	events.Deleting:      "began to delete %s",
	events.RolledBack:    "rolled %s back",
	events.Scheduled:     "placed %s",
	events.Unschedulable: "found no node for %s",
	events.Preempted:     "preempted %s",
	events.Reported:      "reported on %s",
	events.Progressed:    "updated the status of %s",
	events.Joined:        "let %s join",
	events.Lost:          "lost %s",
	events.Recovered:     "saw %s recover",
}

func (t *treeWriter) headline(n *Node) string {
	if n.Hidden {
		return t.in(dim, "one of "+n.Object.Resource+", which you may not get: "+n.Type)
	}
	if n.By == "" {
		return t.in(dim, n.Missing)
	}
	phrase, ok := phrases[n.Type]
	if !ok {
		phrase = n.Type + " %s"
	}
	by := n.By
	if n.ByUser {
		by = t.in(cyan, by)
	}
	return by + " " + t.in(typeColor(n.Type), fmt.Sprintf(phrase, n.Object.String()))
}

// remarks are the lines below an event.
func (t *treeWriter) remarks(n *Node) []string {
	var out []string
	if n.Void != "" {
		out = append(out, t.in(dim, "it had no effect: "+n.Void))
	}
	out = append(out, n.Says...)
	switch {
	case n.Hidden || n.By == "":
	case n.Missing != "" && n.Link == LinkOwner:
		out = append(out, t.in(dim, "("+n.Missing+"; it belongs to the object above)"))
	case n.Missing != "" && n.Link == LinkObject:
		out = append(out, t.in(dim, "("+n.Missing+")"))
	case n.Missing != "":
		out = append(out, t.in(dim, "("+n.Missing+")"))
	}
	if len(n.Also) > 0 && t.All {
		out = append(out, t.in(dim, "it answers "+sequences(n.Also)+" too"))
	}
	return out
}

func sequences(list []uint64) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = "#" + number(n)
	}
	return strings.Join(out, ", ")
}
