package endpointslice

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/events"
)

// trigger is the first change that a write of endpoints answers: what proxies
// measure their delay by. Zero: it isn't known.
type trigger time.Time

// triggerOf is the earliest time at which a pod became ready or not whose endpoint
// differs from the one in the slices; of a service without slices also its own.
func triggerOf(svc *corev1.Service, pods []*corev1.Pod, want []*group, have []*events.Object) trigger {
	var first time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if len(have) == 0 {
		earlier(svc.CreationTimestamp.Time)
	}
	was := map[types.UID]*discoveryv1.Endpoint{}
	for _, o := range have {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			if ref := slice.Endpoints[i].TargetRef; ref != nil {
				was[ref.UID] = &slice.Endpoints[i]
			}
		}
	}
	for _, pod := range pods {
		if endpointDiffers(pod.UID, was[pod.UID], want) {
			earlier(readinessChanged(pod))
		}
	}
	return trigger(first)
}

// endpointDiffers reports that a pod's endpoint isn't what it was (nil: there was none).
func endpointDiffers(uid types.UID, was *discoveryv1.Endpoint, want []*group) bool {
	for _, g := range want {
		if now, ok := g.endpoints[uid]; ok {
			return was == nil || !apiequality.Semantic.DeepEqual(was, &now)
		}
	}
	return was != nil
}

// readinessChanged is when a pod became ready, or no longer was.
func readinessChanged(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// annotate sets the annotation that says it, or takes away an older one.
func (t trigger) annotate(annotations map[string]string) map[string]string {
	if time.Time(t).IsZero() {
		delete(annotations, corev1.EndpointsLastChangeTriggerTime)
		return annotations
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[corev1.EndpointsLastChangeTriggerTime] = time.Time(t).UTC().Format(time.RFC3339Nano)
	return annotations
}
