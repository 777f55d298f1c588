package nodelifecycle

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// nodeNotReady is the reason of a pod's condition that this controller set.
const nodeNotReady = "NodeNotReady"

// NewPods makes the controller that marks the pods of lost nodes not ready, and
// takes that back when their node returns.
func NewPods() *controllers.Controller {
	return controllers.New("node-pods-controller").As("node-controller").
		Watches("", "nodes", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New == nil || c.Event != nil && c.Event.Type != events.Lost && c.Event.Type != events.Recovered && c.Event.Prefix != events.PrefixFact {
				return
			}
			old, node := nodeOf(c.Old), nodeOf(c.New)
			if node == nil || old != nil && isUnknown(old) == isUnknown(node) || c.Event == nil && !isUnknown(node) {
				return
			}
			for o := range s.PodsOn(c.New.Key.Name) {
				if pod, ok := o.Value.(*corev1.Pod); ok && mark(pod, node) >= 0 {
					add(o.Key)
				}
			}
		}).
		Watches("", "pods", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.Event != nil {
				return
			}
			// At the start: its node may have come back while nobody led.
			if pod, ok := c.New.Value.(*corev1.Pod); ok && isNotReady(pod) {
				add(c.New.Key)
			}
		}).
		Writes(events.Progressed).
		Reconcile(markPod)
}

func nodeOf(o *events.Object) *corev1.Node {
	if !o.Exists() {
		return nil
	}
	node, _ := o.Value.(*corev1.Node)
	return node
}

func markPod(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	pod, ok := o.Value.(*corev1.Pod)
	if !ok {
		return controllers.Result{}, nil
	}
	node, ok := projections.Get[*corev1.Node](s, controllers.Node.Key("", pod.Spec.NodeName))
	if !ok {
		return controllers.Result{}, nil
	}
	i := mark(pod, node)
	if i < 0 {
		return controllers.Result{}, nil
	}
	changed := pod.DeepCopy()
	c := &changed.Status.Conditions[i]
	c.LastTransitionTime = metav1.NewTime(controllers.Now(ctx).Truncate(time.Second))
	if isUnknown(node) {
		c.Status, c.Reason = corev1.ConditionFalse, nodeNotReady
		return controllers.Do(controllers.Progressed(o, changed).Because(nodeNotReady, "Node is not ready")), nil
	}
	c.Status, c.Reason = corev1.ConditionTrue, ""
	return controllers.Do(controllers.Progressed(o, changed).Because("NodeReady", "Node is back")), nil
}

// isNotReady reports a pod that was marked not ready because of its node.
func isNotReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse && c.Reason == nodeNotReady
	})
}

// mark is the index of the pod's condition Ready if that isn't what its node makes
// of it, -1 if nothing is to be done.
func mark(pod *corev1.Pod, node *corev1.Node) int {
	lost := isUnknown(node)
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodReady && (lost && c.Status == corev1.ConditionTrue || !lost && c.Status == corev1.ConditionFalse && c.Reason == nodeNotReady) {
			return i
		}
	}
	return -1
}
