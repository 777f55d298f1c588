package resourcequota

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// released maps a change after which less is used to the quotas that count it.
// What uses more has passed admission, which has counted it.
func released(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old == nil || s.Len("", "resourcequotas") == 0 {
		return
	}
	key := controllers.KeyOf(c)
	if key.Namespace == "" || c.New != nil && !shrunk(c.Old, c.New) {
		return
	}
	for quota := range projections.List[*corev1.ResourceQuota](s, "", "resourcequotas", key.Namespace) {
		if tracks(quota, source{key.Group, key.Resource}) {
			add(controllers.ResourceQuota.Key(quota.Namespace, quota.Name))
		}
	}
}

func tracks(quota *corev1.ResourceQuota, what source) bool {
	for name := range quota.Spec.Hard {
		for _, s := range sourcesOf(name) {
			if s == what {
				return true
			}
		}
	}
	return false
}

// shrunk reports an update after which an object may use less, or counts in
// another scope.
func shrunk(old, next *events.Object) bool {
	if old.Meta().GetUID() != next.Meta().GetUID() {
		return true
	}
	switch is := next.Value.(type) {
	case *corev1.Pod:
		was, ok := old.Value.(*corev1.Pod)
		return ok && podShrunk(was, is)
	case *corev1.Service:
		was, ok := old.Value.(*corev1.Service)
		return ok && (was.Spec.Type != is.Spec.Type || len(was.Spec.Ports) != len(is.Spec.Ports))
	case *corev1.PersistentVolumeClaim:
		was, ok := old.Value.(*corev1.PersistentVolumeClaim)
		return ok && (!apiequality.Semantic.DeepEqual(was.Status.AllocatedResources, is.Status.AllocatedResources) ||
			!apiequality.Semantic.DeepEqual(attributeClasses(was), attributeClasses(is)) ||
			!apiequality.Semantic.DeepEqual(was.Spec.Resources, is.Spec.Resources))
	}
	return false
}

func podShrunk(was, is *corev1.Pod) bool {
	if controllers.Finished(was) != controllers.Finished(is) || (was.DeletionTimestamp == nil) != (is.DeletionTimestamp == nil) || terminating(was) != terminating(is) {
		return true
	}
	return resized(was.Status.ContainerStatuses, is.Status.ContainerStatuses) ||
		resized(was.Status.InitContainerStatuses, is.Status.InitContainerStatuses) ||
		!apiequality.Semantic.DeepEqual(was.Status.Resources, is.Status.Resources)
}

// resized reports containers that have other resources than before.
func resized(was, is []corev1.ContainerStatus) bool {
	if len(was) != len(is) {
		return false
	}
	for i := range is {
		if was[i].Resources != is[i].Resources && was[i].Resources != nil && !apiequality.Semantic.DeepEqual(was[i].Resources, is[i].Resources) {
			return true
		}
	}
	return false
}
