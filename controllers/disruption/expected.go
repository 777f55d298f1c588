package disruption

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// expectation is what a budget asks for.
type expectation struct {
	pods      int32 // how many there are to be
	healthy   int32 // how many of them have to be
	unmanaged bool  // some pods have no controller
}

// expect reads a budget's spec against the pods that it selects. A fraction is
// one of what the pods' controllers want to have.
func expect(s *projections.Snapshot, pdb *policyv1.PodDisruptionBudget, pods []*corev1.Pod) (expectation, error) {
	least, most := pdb.Spec.MinAvailable, pdb.Spec.MaxUnavailable
	switch {
	case most != nil:
		e, err := scaleOf(s, pods)
		if err != nil {
			return e, err
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(most, int(e.pods), true)
		e.healthy = max(0, e.pods-int32(n))
		return e, err
	case least != nil && least.Type == intstr.Int:
		return expectation{pods: int32(len(pods)), healthy: least.IntVal}, nil
	case least != nil:
		e, err := scaleOf(s, pods)
		if err != nil {
			return e, err
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(least, int(e.pods), true)
		e.healthy = int32(n)
		return e, err
	}
	return expectation{}, nil
}

// scaleOf adds up what the controllers of pods want to have.
func scaleOf(s *projections.Snapshot, pods []*corev1.Pod) (expectation, error) {
	var e expectation
	seen, counted := map[types.UID]bool{}, map[types.UID]bool{}
	for _, pod := range pods {
		ref := controllers.ControllerRef(pod)
		if ref == nil {
			e.unmanaged = true
			continue
		}
		if seen[ref.UID] {
			continue
		}
		seen[ref.UID] = true
		owner, err := findScale(s, pod.Namespace, ref)
		if err != nil {
			return e, err
		}
		if owner == nil {
			return e, fmt.Errorf("found no controllers for pod %q", pod.Name)
		}
		if !counted[owner.uid] {
			counted[owner.uid] = true
			e.pods += owner.replicas
		}
	}
	return e, nil
}
