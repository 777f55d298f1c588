package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// markTimeout is how long a pod may be marked as a disruption's target without
// being deleted.
const markTimeout = 2 * time.Minute

// isTarget reports a pod that is marked as a disruption's target and still
// there. What its node's agent marked so it will end, however long that takes.
func isTarget(pod *corev1.Pod) bool { return mark(pod) != nil }

func mark(pod *corev1.Pod) *corev1.PodCondition {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason != corev1.PodReasonTerminationByKubelet {
			return c
		}
	}
	return nil
}

// unmark takes the mark from a pod that nothing happened to.
func unmark(o *events.Object, pod *corev1.Pod, now time.Time) controllers.Result {
	c := mark(pod)
	if c == nil {
		return controllers.Result{}
	}
	if left := c.LastTransitionTime.Add(markTimeout).Sub(now); left > 0 {
		return controllers.Result{RequeueAfter: left}
	}
	changed := pod.DeepCopy()
	*mark(changed) = corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionFalse, ObservedGeneration: c.ObservedGeneration,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	return controllers.Do(controllers.Progressed(o, changed))
}
