package podgc

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("pod-garbage-collector").
		Watches("", "pods", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New != nil && over(s, c.New) != "" {
				add(c.New.Key)
			}
		}).
		Watches("", "nodes", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			k := controllers.KeyOf(c)
			if c.New != nil && !outOfService(s, k.Name) {
				return
			}
			for pod := range s.PodsOn(k.Name) {
				add(pod.Key)
			}
		}).
		Workers(16).
		Reconcile(reconcile)
}

// over says why a pod is to be removed, "" if it isn't.
func over(s *projections.Snapshot, o *events.Object) string {
	pod, ok := o.Value.(*corev1.Pod)
	if !ok {
		return ""
	}
	deleted := pod.DeletionTimestamp != nil
	switch {
	case pod.Spec.NodeName == "" && deleted:
		return "deleted before it was bound"
	case pod.Spec.NodeName == "":
		return ""
	case deleted && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed):
		return "its containers have ended"
	case !s.Get(controllers.Node.Key("", pod.Spec.NodeName)).Exists():
		return "its node is gone"
	case deleted && outOfService(s, pod.Spec.NodeName):
		return "its node is out of service"
	}
	return ""
}

// outOfService reports a node that an administrator has declared dead.
func outOfService(s *projections.Snapshot, name string) bool {
	node, ok := projections.Get[*corev1.Node](s, controllers.Node.Key("", name))
	if !ok {
		return false
	}
	for _, t := range node.Spec.Taints {
		if t.Key == corev1.TaintNodeOutOfService {
			return true
		}
	}
	return false
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	why := over(s, o)
	if why == "" {
		return controllers.Result{}, nil
	}
	now := int64(0)
	i := controllers.Delete(o)
	i.Options.GracePeriodSeconds = &now
	return controllers.Do(i.Because("PodRemoved", "Removed pod %s: %s", key.Name, why)), nil
}
