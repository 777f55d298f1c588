package nodelifecycle

import (
	"context"
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
			if o, n := nodeOf(c.Old), nodeOf(c.New); o != nil && n != nil && isUnknown(o) == isUnknown(n) {
				return
			}
			node := nodeOf(c.New)
			for o := range s.PodsOn(c.New.Key.Name) {
				if pod, ok := o.Value.(*corev1.Pod); ok && node != nil && mark(pod, node) >= 0 {
					add(o.Key)
				}
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
