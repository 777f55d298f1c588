package pod

import (
	"maps"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// sameForNode reports whether two versions of a pod ask the same of its node:
// most changes are the agent's own reports coming back.
func sameForNode(a, b *v1.Pod) bool {
	return a.Generation == b.Generation && a.UID == b.UID &&
		a.DeletionTimestamp.Equal(b.DeletionTimestamp) && graceOf(a) == graceOf(b) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		sameGates(a, b) && equality.Semantic.DeepEqual(a.Spec, b.Spec)
}

func sameGates(a, b *v1.Pod) bool {
	for _, g := range a.Spec.ReadinessGates {
		if hasTrue(a.Status.Conditions, g.ConditionType) != hasTrue(b.Status.Conditions, g.ConditionType) {
			return false
		}
	}
	return true
}
