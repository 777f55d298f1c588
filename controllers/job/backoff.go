package job

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long a failed pod's replacement waits: first after one failure, twice as
// long after each further one, never longer than longest.
const (
	firstBackoff   = 10 * time.Second
	longestBackoff = 6 * time.Minute
)

// backoff is how long from now a replacement waits after so many failures in a
// row, the last of them at a time.
func backoff(failures int, last, now time.Time) time.Duration {
	if failures == 0 {
		return 0
	}
	wait := firstBackoff
	for range failures - 1 {
		if wait *= 2; wait >= longestBackoff {
			wait = longestBackoff
			break
		}
	}
	return max(0, last.Add(wait).Sub(now))
}

// backoffOf is how long no pod is to be created after the failures since the
// last success.
func backoffOf(pods []pod, now time.Time) time.Duration {
	var success, last time.Time
	failed := false
	for i := range pods {
		if p := &pods[i]; p.succeeded() {
			if at := ended(p.Pod); at.After(success) {
				success = at
			}
		} else if p.failed {
			failed = true
		}
	}
	if !failed {
		return 0
	}
	failures := 0
	for i := range pods {
		if p := &pods[i]; p.failed && !p.succeeded() {
			at := ended(p.Pod)
			if at.Before(success) {
				continue
			}
			failures++
			if at.After(last) {
				last = at
			}
		}
	}
	return backoff(failures, last, now)
}

// ended is when a pod ended: its last container, or when it ceased to be ready,
// or when its deletion was asked for.
func ended(pod *corev1.Pod) time.Time {
	if at := containersEnded(pod); !at.IsZero() {
		return at
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	if pod.DeletionTimestamp != nil {
		grace := int64(0)
		if pod.DeletionGracePeriodSeconds != nil {
			grace = *pod.DeletionGracePeriodSeconds
		}
		return pod.DeletionTimestamp.Add(-time.Duration(grace) * time.Second)
	}
	return pod.CreationTimestamp.Time
}

// containersEnded is when the last container ended, sidecars included; zero if
// one hasn't.
func containersEnded(pod *corev1.Pod) time.Time {
	var last time.Time
	take := func(list []corev1.ContainerStatus, counts func(name string) bool) bool {
		for i := range list {
			if !counts(list[i].Name) {
				continue
			}
			end := list[i].State.Terminated
			if end == nil || end.FinishedAt.IsZero() {
				return false
			}
			if end.FinishedAt.After(last) {
				last = end.FinishedAt.Time
			}
		}
		return true
	}
	sidecar := func(name string) bool {
		return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
			return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		})
	}
	if !take(pod.Status.ContainerStatuses, func(string) bool { return true }) || !take(pod.Status.InitContainerStatuses, sidecar) {
		return time.Time{}
	}
	return last
}
