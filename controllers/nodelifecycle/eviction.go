package nodelifecycle

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// NewEviction makes the controller that deletes pods which don't tolerate a
// NoExecute taint of their node, or don't any longer.
func NewEviction() *controllers.Controller {
	return controllers.New("taint-eviction-controller").As("node-controller").
		Watches("", "pods", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New == nil || c.Event != nil && c.Event.Prefix == events.PrefixFact {
				return
			}
			if pod, ok := c.New.Value.(*corev1.Pod); ok && len(noExecute(s, pod.Spec.NodeName)) > 0 {
				add(c.New.Key)
			}
		}).
		Watches("", "nodes", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			k := controllers.KeyOf(c)
			if len(noExecute(s, k.Name)) == 0 {
				return
			}
			if c.Old != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
				return
			}
			for pod := range s.PodsOn(k.Name) {
				add(pod.Key)
			}
		}).
		Reconcile(evict)
}

func noExecute(s *projections.Snapshot, name string) []corev1.Taint {
	node, ok := projections.Get[*corev1.Node](s, controllers.Node.Key("", name))
	if !ok {
		return nil
	}
	var out []corev1.Taint
	for _, t := range node.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			out = append(out, t)
		}
	}
	return out
}

func evict(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		return controllers.Result{}, nil
	}
	pod, ok := o.Value.(*corev1.Pod)
	if !ok || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return controllers.Result{}, nil
	}
	taints := noExecute(s, pod.Spec.NodeName)
	if len(taints) == 0 {
		return controllers.Result{}, nil
	}
	left, bounded := tolerated(pod, taints, controllers.Now(ctx))
	switch {
	case !bounded:
		return controllers.Result{}, nil
	case left > 0:
		return controllers.Result{RequeueAfter: left}, nil
	}
	return controllers.Do(controllers.Delete(o).
		Because("TaintManagerEviction", "Marking for deletion Pod %s/%s", key.Namespace, key.Name)), nil
}

// tolerated is how long the pod may stay; bounded is false if for ever.
func tolerated(pod *corev1.Pod, taints []corev1.Taint, now time.Time) (left time.Duration, bounded bool) {
	for i := range taints {
		taint := &taints[i]
		forever, tolerates, least := false, false, time.Duration(0)
		for j := range pod.Spec.Tolerations {
			t := &pod.Spec.Tolerations[j]
			if !t.ToleratesTaint(klog.Background(), taint, false) {
				continue
			}
			if t.TolerationSeconds == nil {
				forever = true
				continue
			}
			if d := time.Duration(max(0, *t.TolerationSeconds)) * time.Second; !tolerates || d < least {
				least = d
			}
			tolerates = true
		}
		if forever && !tolerates {
			continue
		}
		wait := least
		if tolerates && taint.TimeAdded != nil {
			wait = taint.TimeAdded.Add(least).Sub(now)
		}
		if !bounded || wait < left {
			left = wait
		}
		bounded = true
	}
	return left, bounded
}
