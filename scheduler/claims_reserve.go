package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	// bindWithin is how long a pod holds its node while its claims are bound, before
	// it is looked at again.
	bindWithin = 10 * time.Minute
	// comesWithin is how long nothing is said of a resource claim that isn't there:
	// it is made from its template right after the pod.
	comesWithin = time.Second
)

// waitsFor names all claims of a pod, each once; nil if it has none.
func waitsFor(pod *corev1.Pod) []events.Key {
	out := claimsOf(pod)
	if len(pod.Spec.ResourceClaims) > 0 {
		out = append(out, resourceClaimsOf(pod)...)
		if out == nil {
			out = []events.Key{} // they aren't made yet
		}
	}
	return out
}

// reserve has a pod whose claims wait for a node hold n while they get there what they
// ask for; false if nothing is to be waited for. The pod waits: its claims'
// changes bring it back, and then it is placed on the node it holds.
func (l *loop) reserve(ctx context.Context, p *pending, n *node) bool {
	if p.claims == nil {
		return false
	}
	now := l.options.Clock.Now()
	volumes, ok := l.cluster.volumes.plan(p.pod, n)
	devices, expired, fits := l.cluster.planDevices(p.pod, p.class, n, now)
	if !ok || !fits {
		l.release(p)
		l.retryLater(p)
		if expired {
			l.freeUnused(ctx, p, late)
		}
		return true
	}
	if !volumes.waits() && !devices.waits {
		return false
	}
	writes, taken := volumes.assume(&l.cluster.volumes, n)
	writes = append(writes, devices.assume(l.cluster, p.pod, now)...)
	l.cluster.removePod(p.pod.UID)
	l.cluster.bind(p.pod, n, p.class.demand)
	l.cluster.volumes.use(p.pod)
	p.holds = true
	l.queue.wait(p, now.Add(bindWithin))
	if len(writes) > 0 {
		l.attempts++
		p.attempt = l.attempts
		l.writes.start(ctx, p, writes)
	}
	for _, u := range taken { // others have one less to choose from
		u.free.generation++
		l.classChanged(u.class.Name)
	}
	return true
}

// heldNode is the node that a pod holds for its claims, nil if it holds none
// or can't be there any more.
func (l *loop) heldNode(p *pending) *node {
	if b := l.cluster.pods[p.pod.UID]; b != nil && b.node.object != nil && l.claimsFit(p, b.node) {
		l.cluster.removePod(p.pod.UID) // what it holds doesn't count against it
		if p.class.only == nil {
			l.cluster.look(p.class) // to say why
		}
		return b.node
	}
	l.release(p)
	return nil
}

func (l *loop) claimsFit(p *pending, n *node) bool {
	if c := l.cluster.volumes.claimedBy(p.pod); c != nil && c.refuses(n.object) != "" {
		return false
	}
	w := l.cluster.devices.wantedBy(p.pod)
	return w == nil || w.refuses(n) == ""
}

// release gives back what a pod holds.
func (l *loop) release(p *pending) {
	p.holds = false
	l.cluster.removePod(p.pod.UID)
}

// unwritten takes in that a claim or volume couldn't be written. If nobody knows whether it
// was, a pod keeps the devices that it took, and they are written again.
func (l *loop) unwritten(f failure) {
	p, unsure := f.pod, !errors.Is(f.err, events.ErrConflict)
	for _, w := range f.writes {
		l.unassumeVolume(w.volume)
		l.unassumeDevices(w.claim, p.pod.UID, unsure)
	}
	if l.queue.pods[p.object.Key] != p || p.attempt != f.attempt || !p.holds && p.state != parked {
		return
	}
	if p.holds && !(unsure && slices.ContainsFunc(f.writes, func(w claimWrite) bool { return w.claim != "" })) {
		l.release(p)
	}
	l.retryLater(p)
}

// claimsChanged looks again at one pod: at once if it holds a node and its
// claims are bound or in trouble, later if its volume won't be made there, and if
// it holds none when it is of another class now.
func (l *loop) claimsChanged(p *pending) {
	switch {
	case p.state == placed:
	case p.coming && !p.holds && p.state == waiting:
		p.coming = false
		l.again(p)
	case p.state == waiting && !p.holds:
	case p.state == waiting:
		l.heldChanged(p)
	default:
		l.reclassed(p)
	}
}

func (l *loop) heldChanged(p *pending) {
	c := l.cluster.volumes.claimedBy(p.pod)
	deselected := p.deselected(c)
	b := l.cluster.pods[p.pod.UID]
	switch {
	case b == nil || b.node.object == nil || c != nil && c.problem != "":
		l.release(p)
		l.again(p)
		return
	case deselected:
		l.release(p)
		l.retryLater(p)
		return
	}
	devices, _, ok := l.cluster.planDevices(p.pod, p.class, b.node, l.options.Clock.Now())
	switch {
	case !ok:
		l.release(p)
		l.again(p)
	case len(devices.writes) > 0:
		l.again(p)
	case !devices.waits && (c == nil || len(c.unbound) == 0):
		if p.ready = true; !p.othersWait() {
			l.again(p)
		}
	}
}
