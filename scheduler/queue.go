package scheduler

import (
	stdheap "container/heap"
	"slices"
	"time"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
)

// queue holds the pending pods, each in one state.
type queue struct {
	pods    map[events.Key]*pending
	active  heap
	waiting heap
	parked  map[*class]*heap
	built   uint64 // generation of the index of topology that the classes are of

	claiming map[events.Key]map[*pending]struct{} // by claim
}

func newQueue() *queue {
	return &queue{
		pods:   map[events.Key]*pending{},
		active: heap{order: before}, waiting: heap{order: dueBefore},
		parked: map[*class]*heap{}, claiming: map[events.Key]map[*pending]struct{}{},
	}
}

// leave takes a pod out of whatever its state keeps it in.
func (q *queue) leave(p *pending) {
	switch p.state {
	case active:
		stdheap.Remove(&q.active, p.index)
	case waiting:
		stdheap.Remove(&q.waiting, p.index)
	case parked:
		of := q.parked[p.class]
		if stdheap.Remove(of, p.index); of.Len() == 0 {
			delete(q.parked, p.class)
		}
	}
}

func (q *queue) activate(p *pending) {
	q.leave(p)
	p.state = active
	stdheap.Push(&q.active, p)
}

func (q *queue) wait(p *pending, until time.Time) {
	q.leave(p)
	p.state, p.due = waiting, until
	stdheap.Push(&q.waiting, p)
}

func (q *queue) park(p *pending) {
	q.leave(p)
	p.state = parked
	of := q.parked[p.class]
	if of == nil {
		of = &heap{order: before}
		q.parked[p.class] = of
	}
	stdheap.Push(of, p)
}

// byUID gives a pod of the queue, nil if it isn't there or is another one by now.
func (q *queue) byUID(pod *corev1.Pod) *pending {
	p := q.pods[events.Key{Resource: "pods", Namespace: pod.Namespace, Name: pod.Name}]
	if p == nil || p.pod.UID != pod.UID {
		return nil
	}
	return p
}

// gather has a pod wait for the others of its gang.
func (q *queue) gather(p *pending) {
	q.leave(p)
	p.state = gathering
}

func (q *queue) place(p *pending) {
	q.leave(p)
	p.state = placed
}

// add takes in a new pod, which becomes active.
func (q *queue) add(p *pending) {
	q.pods[p.object.Key] = p
	q.claim(p)
	p.class.pods++
	p.state = active
	stdheap.Push(&q.active, p)
}

func (q *queue) remove(p *pending) {
	q.leave(p)
	p.class.pods--
	if p.gang != nil {
		delete(p.gang.members, p)
	}
	delete(q.pods, p.object.Key)
	q.unclaim(p)
}

// claim lists a pod under its claims; unclaim undoes that.
func (q *queue) claim(p *pending) {
	for _, claim := range p.claims {
		if q.claiming[claim] == nil {
			q.claiming[claim] = map[*pending]struct{}{}
		}
		q.claiming[claim][p] = struct{}{}
	}
}

func (q *queue) unclaim(p *pending) {
	for _, claim := range p.claims {
		if delete(q.claiming[claim], p); len(q.claiming[claim]) == 0 {
			delete(q.claiming, claim)
		}
	}
}

// reclaim takes in that a pod's claims have other names, or names at all.
func (q *queue) reclaim(p *pending, claims []events.Key) {
	if slices.Equal(p.claims, claims) {
		return
	}
	q.unclaim(p)
	p.claims = claims
	q.claim(p)
}

// reclass moves a pod whose requirements changed.
func (q *queue) reclass(p *pending, cl *class) {
	q.leave(p)
	p.class.pods--
	p.class = cl
	cl.pods++
	p.state = active
	stdheap.Push(&q.active, p)
}
