package deployment

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
)

// recreate ends all old pods before it starts new ones.
func (r *rollout) recreate() []controllers.Intent {
	var steps []controllers.Intent
	for _, rs := range r.old {
		if rs.replicas() > 0 {
			steps = append(steps, r.scale(rs, 0))
		}
	}
	if len(steps) > 0 || r.oldPodsRun() {
		return steps
	}
	if r.new == nil {
		return []controllers.Intent{r.newReplicaSet(*r.d.Spec.Replicas)}
	}
	if r.new.replicas() != *r.d.Spec.Replicas {
		return []controllers.Intent{r.scale(r.new, *r.d.Spec.Replicas)}
	}
	return r.cleanUp()
}

func (r *rollout) oldPodsRun() bool {
	for _, rs := range r.old {
		for o := range r.s.OwnedBy("", "pods", string(rs.UID)) {
			pod := o.Value.(*corev1.Pod)
			if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
				return true
			}
		}
	}
	return false
}
