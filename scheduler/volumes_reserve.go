package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// volumePlan is which volumes a pod's claims get on a node.
type volumePlan struct {
	claims *claimed // nil: none that wait
	found  []*corev1.PersistentVolume
}

// plan finds volumes for the claims that wait for a pod's node; false if there
// are none: the class was judged before a claim changed.
func (v *volumes) plan(pod *corev1.Pod, n *node) (volumePlan, bool) {
	c := v.claimedBy(pod)
	if c == nil || len(c.unbound) == 0 {
		return volumePlan{}, c == nil || c.problem == ""
	}
	found, ok := c.assign(n.object)
	return volumePlan{c, found}, ok
}

func (p volumePlan) waits() bool { return p.claims != nil }

// assume takes the volumes, and gives what has to be written so that it is so.
func (p volumePlan) assume(v *volumes, n *node) (writes []claimWrite, taken []*unboundClaim) {
	if p.claims == nil {
		return nil, nil
	}
	for i, u := range p.claims.unbound {
		switch {
		case u.selected != "":
		case p.found[i] != nil:
			v.assumed[p.found[i].Name] = p.found[i]
			taken = append(taken, u)
			writes = append(writes, claimVolume(p.found[i], u.claim))
		default:
			writes = append(writes, selectNode(u.claim, n.name))
		}
	}
	return writes, taken
}

// unassumeVolume takes in that a volume couldn't be given to a claim.
func (l *loop) unassumeVolume(name string) {
	v := l.cluster.volumes.assumed[name]
	if v == nil {
		return
	}
	delete(l.cluster.volumes.assumed, name)
	if free := l.cluster.volumes.free[v.Spec.StorageClassName]; free != nil {
		free.generation++
	}
	l.classChanged(v.Spec.StorageClassName)
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
		l.claimsChanged(p)
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
			l.claimsChanged(p)
		}
	}
}

// deselected reports that a provisioner took back the node that was selected for a claim.
func (p *pending) deselected(c *claimed) bool {
	if c == nil {
		return false
	}
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
