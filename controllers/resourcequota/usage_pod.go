package resourcequota

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/reckon-project/reckon/controllers"
)

// lapses is when a deleted pod that doesn't go counts no more: it may be stuck on a
// lost node. Zero: it isn't deleted.
func lapses(pod *corev1.Pod) time.Time {
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return time.Time{}
	}
	return pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
}

// pod is what a pod counts for. One that is over is still an object, and nothing more.
func (c *counter) pod(pod *corev1.Pod) corev1.ResourceList {
	amounts := corev1.ResourceList{"count/pods": units(1)}
	if controllers.Finished(pod) {
		return amounts
	}
	if lapses := lapses(pod); !lapses.IsZero() {
		if c.now.After(lapses) {
			return amounts
		}
		if c.until.IsZero() || lapses.Before(c.until) {
			c.until = lapses
		}
	}
	podCompute(pod, amounts)
	return amounts
}

// podCompute adds what a pod asks of nodes.
func podCompute(pod *corev1.Pod, amounts corev1.ResourceList) {
	amounts[corev1.ResourcePods] = units(1)
	options := resource.PodResourcesOptions{UseStatusResources: true}
	for name, n := range resource.PodRequests(pod, options) {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
			strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			amounts[name], amounts[requestsPrefix+name] = n, n
		case !native(string(name)) && !strings.HasPrefix(string(name), requestsPrefix), strings.HasPrefix(string(name), deviceClassPrefix):
			amounts[requestsPrefix+name] = n
		}
	}
	for name, n := range resource.PodLimits(pod, options) {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			amounts["limits."+name] = n
		}
	}
}
