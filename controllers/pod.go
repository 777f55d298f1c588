package controllers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Finished reports a pod whose containers have ended for good.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// ReadySince is when the pod became ready, zero if it isn't.
func ReadySince(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			if c.LastTransitionTime.IsZero() {
				return time.Unix(1, 0)
			}
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
