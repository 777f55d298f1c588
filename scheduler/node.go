package scheduler

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// node is what the scheduler knows of one node. object is nil while pods are
// bound to a name of which no node is known.
type node struct {
	index      int32
	name       string
	object     *corev1.Node
	generation uint64 // of what static filters and scores look at
	devices    uint64 // devices.clock at their last change

	allocatable []int64 // by resource index
	used        []int64
	cpu, memory int64 // used, as the scores count
	ports       []hostPort
	pods        int
	images      []corev1.ContainerImage
	attached    *attached // nil: nothing is, and nothing says how much can be
	bound       []*bound  // in no order
	nominated   []*bound  // pods for which room is made here

	lowestBound int32 // priority, while it is known
	lowestKnown bool
}

func at(v []int64, i int) int64 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

// free is how much of a resource is left; negative when a node is overcommitted.
func (n *node) free(resource int) int64 { return at(n.allocatable, resource) - at(n.used, resource) }

// add puts a pod's demand on the node, sign -1 takes it away.
func (n *node) add(d *demand, sign int64) {
	for _, r := range d.requests {
		for r.resource >= len(n.used) {
			n.used = append(n.used, 0)
		}
		n.used[r.resource] += sign * r.amount
	}
	n.cpu += sign * d.cpu
	n.memory += sign * d.memory
	n.pods += int(sign)
	for _, p := range d.ports {
		if sign > 0 {
			n.ports = append(n.ports, p)
		} else if i := slices.Index(n.ports, p); i >= 0 {
			n.ports = slices.Delete(n.ports, i, i+1)
		}
	}
}

// hold and release list a bound pod and take it off the list.
func (n *node) hold(b *bound) {
	b.at = len(n.bound)
	n.bound = append(n.bound, b)
	n.lowestBound = min(n.lowestBound, b.priority)
}

func (n *node) release(b *bound) {
	last := len(n.bound) - 1
	n.bound[b.at] = n.bound[last]
	n.bound[b.at].at = b.at
	n.bound[last] = nil
	n.bound = n.bound[:last]
	n.lowestKnown = n.lowestKnown && n.lowestBound < b.priority
}

// sameForScheduling reports whether two versions of a node differ in nothing
// that a filter or score looks at (a status report usually doesn't).
func sameForScheduling(a, b *corev1.Node) bool {
	return a != nil && b != nil &&
		a.Spec.Unschedulable == b.Spec.Unschedulable &&
		maps.Equal(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable)
}
