package scheduler

import (
	stdheap "container/heap"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// refresh gives pending pods the classes they have since the index of topology was
// built anew: pods that were alike may not be any more. It reports whether it was.
func (c *cluster) refresh(q *queue) bool {
	c.topology.settle()
	if q.built == c.topology.generation {
		return false
	}
	q.built = c.topology.generation
	keys := make([]events.Key, 0, len(q.pods))
	for k := range q.pods {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b events.Key) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		p := q.pods[k]
		if cl := c.classOf(p.pod); cl != p.class {
			q.exchange(p, cl)
		}
	}
	c.helped = c.end() + 1
	return true
}

// exchange gives a pod another class and leaves it in its state.
func (q *queue) exchange(p *pending, cl *class) {
	was := p.class
	if p.state != parked {
		was.pods--
		p.class = cl
		cl.pods++
		return
	}
	q.leave(p)
	was.pods--
	p.class = cl
	cl.pods++
	cl.refusedBy = was.refusedBy
	of := q.parked[cl]
	if of == nil {
		of = &heap{order: before}
		q.parked[cl] = of
	}
	stdheap.Push(of, p)
}

// takeOwner takes in a change of what may own or select pods, or of a namespace.
func (c *cluster) takeOwner(change projections.Change) {
	if change.Void == nil {
		c.setOwner(change.Event.Key, change.New)
	}
}
