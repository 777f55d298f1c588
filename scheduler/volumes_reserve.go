package scheduler

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// bindWithin is how long a pod holds its node while its claims are bound, before
// it is looked at again.
const bindWithin = 10 * time.Minute

// reserve has a pod whose claims wait for a node hold n while volumes are found
// or made there; false if nothing is to be waited for. The pod waits: its claims'
// changes bring it back, and then it is placed on the node it holds.
func (l *loop) reserve(ctx context.Context, p *pending, n *node) bool {
	if p.claims == nil {
		return false
	}
	c := l.cluster.volumes.claimedBy(p.pod)
	if len(c.unbound) == 0 {
		return false
	}
	found, ok := c.assign(n.object)
	if !ok { // the class was judged before a claim changed
		l.release(p)
		l.retryLater(p)
		return true
	}
	var writes []volumeWrite
	var taken []*unboundClaim
	for i, u := range c.unbound {
		switch {
		case u.selected != "":
		case found[i] != nil:
			l.cluster.volumes.assumed[found[i].Name] = found[i]
			taken = append(taken, u)
			writes = append(writes, claimVolume(found[i], u.claim))
		default:
			writes = append(writes, selectNode(u.claim, n.name))
		}
	}
	l.cluster.removePod(p.pod.UID)
	l.cluster.bind(p.pod, n, p.class.demand)
	l.cluster.volumes.use(p.pod)
	p.holds = true
	l.queue.wait(p, l.options.Clock.Now().Add(bindWithin))
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

// heldNode is the node that a pod holds for its volumes, nil if it holds none
// or can't be there any more.
func (l *loop) heldNode(p *pending) *node {
	b := l.cluster.pods[p.pod.UID]
	if b != nil && b.node.object != nil {
		if c := l.cluster.volumes.claimedBy(p.pod); c != nil && c.refuses(b.node.object) == "" {
			l.cluster.removePod(p.pod.UID) // what it holds doesn't count against it
			if p.class.only == nil {
				l.cluster.look(p.class) // to say why
			}
			return b.node
		}
	}
	l.release(p)
	return nil
}

// release gives back what a pod holds.
func (l *loop) release(p *pending) {
	p.holds = false
	l.cluster.removePod(p.pod.UID)
}

// unwritten takes in that a claim or volume couldn't be written.
func (l *loop) unwritten(f failure) {
	p := f.pod
	for _, w := range f.writes {
		if v := l.cluster.volumes.assumed[w.volume]; v != nil {
			delete(l.cluster.volumes.assumed, w.volume)
			if free := l.cluster.volumes.free[v.Spec.StorageClassName]; free != nil {
				free.generation++
			}
			l.classChanged(v.Spec.StorageClassName)
		}
	}
	if l.queue.pods[p.object.Key] != p || p.attempt != f.attempt || !p.holds {
		return
	}
	l.release(p)
	l.retryLater(p)
}

// takeVolumes folds a change of a claim, volume or class, and looks again at the
// pods that it concerns.
func (l *loop) takeVolumes(c projections.Change) {
	v := &l.cluster.volumes
	if len(l.queue.claiming) > 0 && c.Void == nil {
		l.roomy = c.Event.Sequence
	}
	switch k := c.Event.Key; k.Resource {
	case "persistentvolumeclaims":
		v.setClaim(k, value[*corev1.PersistentVolumeClaim](c.New))
		l.claimChanged(k)
	case "persistentvolumes":
		old, now := value[*corev1.PersistentVolume](c.Old), value[*corev1.PersistentVolume](c.New)
		class, changed := v.setVolume(k.Name, now)
		for _, volume := range []*corev1.PersistentVolume{old, now} {
			if volume != nil && volume.Spec.ClaimRef != nil {
				l.claimChanged(events.Key{Resource: "persistentvolumeclaims", Namespace: volume.Spec.ClaimRef.Namespace, Name: volume.Spec.ClaimRef.Name})
			}
		}
		if changed {
			l.classChanged(class)
		}
	case "storageclasses":
		v.setClass(k.Name, value[*storagev1.StorageClass](c.New))
		l.classChanged(k.Name)
	}
}

// claimChanged looks again at the pods that wait with a claim.
func (l *loop) claimChanged(key events.Key) {
	for p := range l.queue.claiming[key] {
		l.volumesChanged(p)
	}
}

// classChanged looks again at the pods that wait with any claim of a class.
func (l *loop) classChanged(class string) {
	for key, of := range l.queue.claiming {
		claim := l.cluster.volumes.claims[key]
		if claim == nil || claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != class {
			continue
		}
		for p := range of {
			l.volumesChanged(p)
		}
	}
}

// volumesChanged looks again at one pod: at once if it holds a node and its
// claims are bound or in trouble, later if its volume won't be made there, and if
// it holds none when it is of another class now.
func (l *loop) volumesChanged(p *pending) {
	switch {
	case p.state == placed || p.state == waiting && !p.holds:
	case p.holds && p.state == waiting:
		c := l.cluster.volumes.claimedBy(p.pod)
		switch deselected := p.deselected(c); {
		case c.problem != "":
			l.release(p)
			l.again(p)
		case len(c.unbound) == 0:
			l.again(p)
		case deselected:
			l.release(p)
			l.retryLater(p)
		}
	default:
		if cl := l.cluster.classOf(p.pod); cl != p.class {
			l.queue.reclass(p, cl)
		}
	}
}

// deselected reports that a provisioner took back the node that was selected for a claim.
func (p *pending) deselected(c *claimed) bool {
	lost := false
	for _, u := range c.unbound {
		if u.selected != "" {
			if p.selected == nil {
				p.selected = map[string]bool{}
			}
			p.selected[u.claim.Name] = true
		} else if p.selected[u.claim.Name] {
			delete(p.selected, u.claim.Name)
			lost = true
		}
	}
	return lost
}

// lookAtUsers looks again at the pods that wait with claims whose users changed.
func (l *loop) lookAtUsers() {
	for len(l.cluster.volumes.touched) > 0 {
		touched := l.cluster.volumes.touched
		l.cluster.volumes.touched = nil
		for _, key := range touched {
			l.claimChanged(key)
		}
	}
}
