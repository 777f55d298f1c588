package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// counted is the status of a budget whose expectation is known, and when it
// changes by itself: an allowed eviction that nothing came of is over (0: it doesn't).
func counted(pdb *policyv1.PodDisruptionBudget, pods []*corev1.Pod, want expectation, now time.Time) (policyv1.PodDisruptionBudgetStatus, time.Duration) {
	status := policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: pdb.Generation, DesiredHealthy: want.healthy, ExpectedPods: want.pods,
		Conditions: append([]metav1.Condition(nil), pdb.Status.Conditions...),
	}
	next := time.Duration(0)
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if at, evicted := pdb.Status.DisruptedPods[pod.Name]; evicted {
			if left := at.Add(deletionTimeout).Sub(now); left > 0 {
				if status.DisruptedPods == nil {
					status.DisruptedPods = map[string]metav1.Time{}
				}
				status.DisruptedPods[pod.Name] = at
				if next == 0 || left < next {
					next = left
				}
				continue
			}
		}
		if ready(pod) {
			status.CurrentHealthy++
		}
	}
	// A budget that expects nothing allows nothing: its first pods are safe until
	// they are counted.
	if want.pods > 0 {
		status.DisruptionsAllowed = max(0, status.CurrentHealthy-want.healthy)
	}
	condition := metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason,
		ObservedGeneration: pdb.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	if status.DisruptionsAllowed > 0 {
		condition.Status, condition.Reason = metav1.ConditionTrue, policyv1.SufficientPodsReason
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	return status, next
}

// failed is the status of a budget that can't be computed: it allows nothing.
func failed(pdb *policyv1.PodDisruptionBudget, err error, now time.Time) policyv1.PodDisruptionBudgetStatus {
	status := *pdb.Status.DeepCopy()
	status.DisruptionsAllowed = 0
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse,
		Reason: policyv1.SyncFailedReason, Message: err.Error(),
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
	return status
}

// ready reports a pod that counts as healthy.
func ready(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
