package podgc

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller as Kubernetes has it: 12,500 ended pods are kept.
func New() *controllers.Controller { return Keeping(12_500) }

// Keeping makes a controller that keeps so many ended pods.
func Keeping(ended int) *controllers.Controller {
	var missing quarantine
	return controllers.New("pod-garbage-collector").
		Watches("", "pods", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New == nil {
				return
			}
			if over(s, c.New) != nil {
				add(c.New.Key)
			}
			if s.Len("", "pods") > ended && hasEnded(c.New) && (c.Old == nil || !hasEnded(c.Old)) {
				add(tooMany)
			}
		}).
		Watches("", "nodes", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			k := controllers.KeyOf(c)
			if c.New != nil {
				missing.end(k.Name)
				if !outOfService(s, k.Name) {
					return
				}
			}
			for pod := range s.PodsOn(k.Name) {
				add(pod.Key)
			}
		}).
		Workers(64). // they wait until what they wrote is folded; slower than what makes pods, they would leave them to pile up
		Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			if key == tooMany {
				return thin(s, ended), nil
			}
			o, now := s.Get(key), controllers.Now(ctx)
			if left := missing.left(s, o, now); left > 0 {
				return controllers.Result{RequeueAfter: left}, nil
			}
			return controllers.Do(remove(s, o, now)...), nil
		})
}

// ending is why and how a pod is to be removed.
type ending struct {
	why       string
	unwatched bool // nobody reports any more how it ends
	disrupted string
}

// over says why a pod is to be removed, nil if it isn't.
func over(s *projections.Snapshot, o *events.Object) *ending {
	pod, ok := o.Value.(*corev1.Pod)
	if !ok {
		return nil
	}
	deleted := pod.DeletionTimestamp != nil
	switch {
	case pod.Spec.NodeName == "" && deleted:
		return &beforeBound
	case pod.Spec.NodeName == "":
		return nil
	case deleted && hasEnded(o):
		return &containersEnded
	case !s.Get(controllers.Node.Key("", pod.Spec.NodeName)).Exists():
		return &nodeGone
	case deleted && outOfService(s, pod.Spec.NodeName):
		return &nodeDead
	}
	return nil
}

var (
	beforeBound     = ending{why: "deleted before it was bound", unwatched: true}
	containersEnded = ending{why: "its containers have ended"}
	nodeGone        = ending{why: "its node is gone", unwatched: true, disrupted: "PodGC: node no longer exists"}
	nodeDead        = ending{why: "its node is out of service", unwatched: true}
)

func hasEnded(o *events.Object) bool {
	pod, ok := o.Value.(*corev1.Pod)
	return ok && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
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

func remove(s *projections.Snapshot, o *events.Object, now time.Time) []controllers.Intent {
	if !o.Exists() {
		return nil
	}
	end := over(s, o)
	if end == nil {
		return nil
	}
	pod := o.Value.(*corev1.Pod)
	if end.unwatched && !hasEnded(o) && (end.disrupted != "" || len(pod.Finalizers) > 0) {
		return []controllers.Intent{fail(o, end, now)} // deleted once that is known
	}
	if grace := pod.DeletionGracePeriodSeconds; pod.DeletionTimestamp != nil && grace != nil && *grace == 0 && len(pod.Finalizers) > 0 {
		return nil // it only waits for its finalizers
	}
	return []controllers.Intent{deleteNow(o).Because("PodRemoved", "Removed pod %s: %s", pod.Name, end.why)}
}

func deleteNow(o *events.Object) controllers.Intent {
	now := int64(0)
	i := controllers.Delete(o)
	i.Options.GracePeriodSeconds = &now
	return i
}
