package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/events"
)

// roll replaces pods of another template, as many at once as the strategy allows.
func (v *view) roll() plan {
	desired := 0
	for i := range v.nodes {
		if v.nodes[i].runs {
			desired++
		}
	}
	var surge, unavailable int
	if r := v.set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		surge, unavailable = scaled(r.MaxSurge, desired), scaled(r.MaxUnavailable, desired)
	}
	if surge > 0 {
		return v.rollWithSurge(surge, desired)
	}
	return v.rollInPlace(max(1, unavailable))
}

func scaled(of *intstr.IntOrString, total int) int {
	if of == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(of, total, true)
	if err != nil {
		return 0 // validation refuses it
	}
	return n
}

// surges reports a set that may have two pods on a node.
func (v *view) surges() bool {
	r := v.set.Spec.UpdateStrategy.RollingUpdate
	return v.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType && r != nil && scaled(r.MaxSurge, 1) > 0
}

// pair gives the node's pod of the present template and that of another; ok is
// false if there are several of one sort, which place cleans up.
func (v *view) pair(n *site) (young, old *events.Object, ok bool) {
	for _, o := range n.pods {
		pod := o.Value.(*corev1.Pod)
		if pod.DeletionTimestamp != nil {
			continue
		}
		at := &old
		if v.updated(pod) {
			at = &young
		}
		if *at != nil {
			return nil, nil, false
		}
		*at = o
	}
	return young, old, true
}

func (v *view) serves(o *events.Object) bool { return v.available(o.Value.(*corev1.Pod)) }

// rollInPlace deletes old pods: those that don't serve, and others while no more
// than most nodes are without a pod that does.
func (v *view) rollInPlace(most int) plan {
	without := 0
	var broken, candidates []*events.Object
	for i := range v.nodes {
		young, old, ok := v.pair(&v.nodes[i])
		switch {
		case !ok, young == nil && old == nil, young != nil && old != nil:
			without++ // place sees to it
		case young != nil:
			if !v.serves(young) {
				without++
			}
		case !v.serves(old):
			broken = append(broken, old)
			without++
		default:
			candidates = append(candidates, old)
		}
	}
	var p plan
	p.delete(broken...)
	p.delete(candidates[:min(len(candidates), max(0, most-without))]...)
	return p
}

// rollWithSurge creates pods beside old ones: where those don't serve, and up to
// most more. An old pod goes when the new one is available, and from a node that it isn't
// for any more when enough others are.
func (v *view) rollWithSurge(most, desired int) plan {
	var p plan
	surging, serving := 0, 0
	var needed, candidates []placement
	var misplaced []*events.Object
	for i := range v.nodes {
		n := &v.nodes[i]
		young, old, ok := v.pair(n)
		if !ok {
			surging++ // place sees to it
			continue
		}
		if old != nil && v.serves(old) || old == nil && young != nil && v.serves(young) {
			serving++
		}
		switch {
		case old == nil:
		case young != nil && !v.serves(young):
			surging++
		case young != nil:
			p.delete(old)
		case !v.serves(old) && !n.runs:
			p.delete(old)
		case !v.serves(old):
			needed = append(needed, placement{node: n.name})
		case !n.runs:
			misplaced = append(misplaced, old)
		default:
			candidates = append(candidates, placement{node: n.name})
		}
	}
	p.delete(misplaced[:min(len(misplaced), max(0, serving-desired))]...)
	p.create = append(needed, candidates[:min(len(candidates), max(0, most-surging))]...)
	return p
}
