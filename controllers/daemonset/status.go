package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
)

// status counts nodes: of each node its first pod.
func (v *view) status() appsv1.DaemonSetStatus {
	status := appsv1.DaemonSetStatus{
		ObservedGeneration: v.set.Generation,
		CollisionCount:     v.set.Status.CollisionCount, Conditions: v.set.Status.Conditions,
	}
	for i := range v.nodes {
		n := &v.nodes[i]
		switch {
		case n.gone:
		case !n.runs:
			status.NumberMisscheduled++
		default:
			status.DesiredNumberScheduled++
			if len(n.pods) == 0 {
				continue
			}
			status.CurrentNumberScheduled++
			pod := n.pods[0].Value.(*corev1.Pod)
			if !controllers.ReadySince(pod).IsZero() {
				status.NumberReady++
			}
			if v.available(pod) {
				status.NumberAvailable++
			}
			if v.updated(pod) {
				status.UpdatedNumberScheduled++
			}
		}
	}
	status.NumberUnavailable = status.DesiredNumberScheduled - status.NumberAvailable
	return status
}

func sameStatus(a, b *appsv1.DaemonSetStatus) bool { return apiequality.Semantic.DeepEqual(a, b) }
