package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// wake looks what became of the parked pods' chances since it was last called, and makes
// active those that are worth another look.
func (l *loop) wake() {
	refreshed := l.cluster.refresh(l.queue)
	from := l.woken
	l.woken = l.cluster.end()
	if from < l.woken || refreshed || l.cluster.devices.helped {
		l.cluster.wake(l.queue, from, l.evictions.has)
	}
}

// waitsForPods reports that a pod which is placed can make room for a class.
func (cl *class) waitsForPods() bool {
	return cl.outlook != nil && (len(cl.outlook.near) > 0 || len(cl.outlook.hard) > 0)
}

// wake makes parked pods active because of changes from a position on: of each class the
// first one if a node fits it now, or would if its pods of lower priority went,
// and all if other filters than before refuse. The next of the class follows when that one
// has its node.
//
// Of a pod that waits for its victims, leaving tells which others were asked to go.
//
// What only takes room helps nobody, so it isn't looked at, except by classes that wait
// for other pods.
func (c *cluster) wake(q *queue, from uint64, leaving func(*corev1.Pod) bool) {
	helped, devices := c.helped > from, c.devices.helped
	c.devices.helped = false
	var changed []*node
	if helped {
		changed = c.changedSince(from)
		for _, n := range changed {
			for _, b := range n.nominated { // room is made as planned, or somebody stayed
				if p := q.byUID(b.pod); p != nil && p.state == parked && (c.nominatedNode(b.pod.UID, p.class) != nil || !c.awaitsVictims(b, p.class, leaving)) {
					q.activate(p)
				}
			}
		}
	}
	for cl, of := range q.parked {
		if !helped && !cl.waitsForPods() && !(devices && cl.wanted != nil) {
			continue
		}
		open := c.open(cl)
		switch {
		case cl.refusedBy != cl.refusers():
			for _, p := range slices.Clone(of.items) {
				q.activate(p)
			}
		case open:
			q.activate(of.items[0])
		case c.canPreempt(cl, changed):
			if p := c.unkept(of.items); p != nil {
				q.activate(p)
			}
		}
	}
}

// next makes the next parked pod of a class active, if there is still a node for it.
func (l *loop) next(cl *class) {
	if of := l.queue.parked[cl]; of != nil && l.cluster.open(cl) {
		l.queue.activate(of.items[0])
	}
}

// nextToPreempt makes the next parked pod of a class active that has no node kept for it
// yet: room may be made for it as well.
func (l *loop) nextToPreempt(cl *class) {
	if of := l.queue.parked[cl]; of != nil {
		if p := l.cluster.unkept(of.items); p != nil {
			l.queue.activate(p)
		}
	}
}

// unkept is the first pod that has no node kept for it.
func (c *cluster) unkept(pods []*pending) *pending {
	i := slices.IndexFunc(pods, func(p *pending) bool { return c.nominated[p.pod.UID] == nil })
	if i < 0 {
		return nil
	}
	return pods[i]
}

// open reports that a node fits a class now.
func (c *cluster) open(cl *class) bool {
	if cl.only != nil {
		return scheduleNamed(c, cl) != nil
	}
	c.look(cl)
	return cl.feasible > 0
}

// canPreempt reports that a class would fit on one of the nodes if pods of lower priority went.
func (c *cluster) canPreempt(cl *class, nodes []*node) bool {
	if cl.neverPreempts || cl.plugins.preemption.off {
		return false
	}
	for _, n := range nodes {
		if n.lowest() >= cl.priority || cl.refusesObject(n) || cl.only != nil && !slices.Contains(cl.only, n.name) || !c.mendable(cl, n) {
			continue
		}
		if found, _ := c.tryVictims(cl, n); found != nil {
			return true
		}
	}
	return false
}

// changedSince are the nodes that changed from a position on, each once.
func (c *cluster) changedSince(from uint64) (out []*node) {
	if from < c.forgotten {
		for _, n := range c.nodes {
			if n != nil && n.object != nil {
				out = append(out, n)
			}
		}
		return out
	}
	indexes := slices.Clone(c.changed[from-c.forgotten:])
	slices.Sort(indexes)
	for _, i := range slices.Compact(indexes) {
		if n := c.nodes[i]; n != nil && n.object != nil {
			out = append(out, n)
		}
	}
	return out
}
