package endpointslice

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// podChanged maps a pod to the services that select it, if something changed
// that endpoints tell of.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	o, n := podOf(c.Old), podOf(c.New)
	if c.Event == nil {
		return // services come by as well
	}
	if sameEndpoint(o, n) {
		return
	}
	for svc := range projections.List[*corev1.Service](s, "", "services", controllers.KeyOf(c).Namespace) {
		if selects(svc, o) || selects(svc, n) {
			add(controllers.Service.Key(svc.Namespace, svc.Name))
		}
	}
}

func podOf(o *events.Object) *corev1.Pod {
	if !o.Exists() {
		return nil
	}
	pod, _ := o.Value.(*corev1.Pod)
	return pod
}

func selects(svc *corev1.Service, pod *corev1.Pod) bool {
	return pod != nil && len(svc.Spec.Selector) > 0 && labels.Set(svc.Spec.Selector).AsSelectorPreValidated().Matches(labels.Set(pod.Labels))
}

// sameEndpoint reports that endpoints of both would be the same.
func sameEndpoint(o, n *corev1.Pod) bool {
	if !addressed(o) && !addressed(n) {
		return true
	}
	return o != nil && n != nil && addressed(o) == addressed(n) && ready(o) == ready(n) && o.UID == n.UID &&
		(o.DeletionTimestamp == nil) == (n.DeletionTimestamp == nil) && o.Spec.NodeName == n.Spec.NodeName &&
		slices.Equal(o.Status.PodIPs, n.Status.PodIPs) && maps.Equal(o.Labels, n.Labels)
}

// addressed reports a pod that has an address and isn't finished.
func addressed(pod *corev1.Pod) bool {
	return pod != nil && (pod.Status.PodIP != "" || len(pod.Status.PodIPs) > 0) &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func ready(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// addressesOf are a pod's addresses of the IPv6 family or the other one.
func addressesOf(pod *corev1.Pod, v6 bool) []string {
	var out []string
	for _, ip := range pod.Status.PodIPs {
		if isV6(ip.IP) == v6 {
			out = append(out, ip.IP)
		}
	}
	if ip := pod.Status.PodIP; len(pod.Status.PodIPs) == 0 && isV6(ip) == v6 {
		out = append(out, ip)
	}
	return out
}

func isV6(ip string) bool {
	for i := range len(ip) {
		if ip[i] == ':' {
			return true
		}
	}
	return false
}
