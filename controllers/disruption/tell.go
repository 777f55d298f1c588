package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// newFor is how long a pod counts as new: what is wrong with its budgets is told
// then.
const newFor = time.Minute

// tellSeveral tells of a new pod that several budgets select it: evicting it is
// refused.
func tellSeveral(s *projections.Snapshot, o *events.Object, pod *corev1.Pod, now time.Time) []controllers.Intent {
	if isTarget(pod) || pod.DeletionTimestamp != nil || now.Sub(pod.CreationTimestamp.Time) > newFor {
		return nil
	}
	var first string
	n := 0
	for pdb := range projections.List[*policyv1.PodDisruptionBudget](s, "policy", "poddisruptionbudgets", pod.Namespace) {
		if !selects(pdb, pod) {
			continue
		}
		if n++; n == 1 {
			first = pdb.Name
		}
	}
	if n < 2 {
		return nil
	}
	return []controllers.Intent{controllers.Progressed(o, pod).
		Because("MultiplePodDisruptionBudgets", "Pod %q/%q matches multiple PodDisruptionBudgets.  Chose %q arbitrarily.", pod.Namespace, pod.Name, first)}
}

// tellNotDeleted tells of pods whose eviction was allowed and nothing came of it:
// those that are no longer in a budget's status though they are there.
func tellNotDeleted(s *projections.Snapshot, pdb *policyv1.PodDisruptionBudget, pods []*corev1.Pod, still map[string]metav1.Time) []controllers.Intent {
	var out []controllers.Intent
	for _, pod := range pods {
		_, was := pdb.Status.DisruptedPods[pod.Name]
		if _, is := still[pod.Name]; !was || is || pod.DeletionTimestamp != nil {
			continue
		}
		out = append(out, controllers.Progressed(s.Get(controllers.Pod.Key(pod.Namespace, pod.Name)), pod).
			Because("NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", pdb.Namespace, pdb.Name))
	}
	return out
}
