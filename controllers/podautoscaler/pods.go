package podautoscaler

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelpers "k8s.io/component-helpers/resource"

	"github.com/reckon-project/reckon/projections"
)

// sample is one pod's load: a value in thousandths, over a window that ended at a time.
type sample struct {
	value  int64
	at     time.Time
	window time.Duration
}

func podsOf(s *projections.Snapshot, namespace string, selector labels.Selector) []*corev1.Pod {
	var pods []*corev1.Pod
	for pod := range projections.List[*corev1.Pod](s, "", "pods", namespace) {
		if selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// sorted says how pods count.
type sorted struct {
	ready                     int // with a sample that counts
	unready, missing, ignored []string
}

// sortPods sorts pods by what their samples are worth. CPU of a pod that has just
// started says nothing about its load.
func sortPods(pods []*corev1.Pod, samples map[string]sample, cpu bool, now time.Time) sorted {
	var out sorted
	for _, pod := range pods {
		x, found := samples[pod.Name]
		switch {
		case pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed:
			out.ignored = append(out.ignored, pod.Name)
		case pod.Status.Phase == corev1.PodPending:
			out.unready = append(out.unready, pod.Name)
		case !found:
			out.missing = append(out.missing, pod.Name)
		case cpu && starting(pod, x, now):
			out.unready = append(out.unready, pod.Name)
		default:
			out.ready++
		}
	}
	return out
}

// starting reports a pod whose CPU sample is of its start.
func starting(pod *corev1.Pod, x sample, now time.Time) bool {
	c := readiness(pod)
	if c == nil || pod.Status.StartTime == nil {
		return true
	}
	notReady, began, changed := c.Status == corev1.ConditionFalse, pod.Status.StartTime.Time, c.LastTransitionTime.Time
	if began.Add(cpuStartUp).After(now) {
		return notReady || x.at.Before(changed.Add(x.window))
	}
	return notReady && began.Add(initialReadiness).After(changed)
}

func readiness(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c
		}
	}
	return nil
}

// readyOf counts the pods that run and are ready.
func readyOf(pods []*corev1.Pod) int64 {
	var n int64
	for _, pod := range pods {
		if c := readiness(pod); pod.Status.Phase == corev1.PodRunning && c != nil && c.Status == corev1.ConditionTrue {
			n++
		}
	}
	return n
}

// requestsOf gives what each pod requests of a resource, in thousandths, by name; of one
// container if it isn't "".
func requestsOf(pods []*corev1.Pod, container string, r corev1.ResourceName) (map[string]int64, error) {
	out := make(map[string]int64, len(pods))
	for _, pod := range pods {
		var err error
		if container == "" && resourcehelpers.IsPodLevelRequestsSet(pod) {
			q, ok := resourcehelpers.PodRequests(pod, resourcehelpers.PodResourcesOptions{})[r]
			if !ok {
				return nil, fmt.Errorf("missing pod-level request for %s in Pod %s", r, pod.Name)
			}
			out[pod.Name] = q.MilliValue()
			continue
		}
		if out[pod.Name], err = requestOf(pod, container, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func requestOf(pod *corev1.Pod, container string, r corev1.ResourceName) (int64, error) {
	var sum int64
	found := container == ""
	add := func(c *corev1.Container) error {
		if container != "" && c.Name != container {
			return nil
		}
		q, ok := c.Resources.Requests[r]
		if !ok {
			return fmt.Errorf("missing request for %s in container %s of Pod %s", r, c.Name, pod.Name)
		}
		found = true
		sum += q.MilliValue()
		return nil
	}
	for i := range pod.Spec.Containers {
		if err := add(&pod.Spec.Containers[i]); err != nil {
			return 0, err
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		if err := add(c); err != nil {
			return 0, err
		}
	}
	if !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, pod.Name)
	}
	return sum, nil
}
