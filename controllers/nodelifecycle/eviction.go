package nodelifecycle

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// NewEviction makes the controller that deletes pods which don't tolerate a
// NoExecute taint of their node, or don't any longer.
func NewEviction() *controllers.Controller {
	var w waiting
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
				w.on(k.Name, add)
				return
			}
			if c.Old != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
				return
			}
			for pod := range s.PodsOn(k.Name) {
				add(pod.Key)
			}
		}).
		Writes(events.Progressed).
		Reconcile(w.evict)
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

func (w *waiting) evict(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		w.end(key)
		return controllers.Result{}, nil
	}
	pod, ok := o.Value.(*corev1.Pod)
	if !ok {
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx)
	left, bounded := tolerated(pod, noExecute(s, pod.Spec.NodeName), now)
	switch {
	case !bounded:
		if !w.end(key) {
			return controllers.Result{}, nil
		}
		return controllers.Do(controllers.Progressed(o, pod).
			Because("TaintManagerEviction", "Cancelling deletion of Pod %s/%s", key.Namespace, key.Name)), nil
	case left > 0:
		w.begin(key, pod.Spec.NodeName)
		return controllers.Result{RequeueAfter: left}, nil
	case isMarked(pod):
		return controllers.Do(controllers.Delete(o)), nil
	}
	w.end(key)
	return controllers.Do(controllers.Progressed(o, marked(pod, now)).
		Because("TaintManagerEviction", "Marking for deletion Pod %s/%s", key.Namespace, key.Name)), nil
}

// tolerated is how long the pod may stay; bounded is false if for ever. Of several
// tolerations of a taint the first counts.
func tolerated(pod *corev1.Pod, taints []corev1.Taint, now time.Time) (left time.Duration, bounded bool) {
	came := boundAt(pod)
	for i := range taints {
		j := slices.IndexFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.ToleratesTaint(klog.Logger{}, &taints[i], false) })
		if j < 0 {
			return 0, true
		}
		seconds := pod.Spec.Tolerations[j].TolerationSeconds
		if seconds == nil {
			continue
		}
		since := now // the taint's time is about to be written
		if at := taints[i].TimeAdded; at != nil {
			since = at.Time
		}
		if since.Before(came) {
			since = came
		}
		wait := since.Add(time.Duration(max(0, *seconds)) * time.Second).Sub(now)
		if !bounded || wait < left {
			left = wait
		}
		bounded = true
	}
	return left, bounded
}

// boundAt is when the pod came to its node, as far as that is known.
func boundAt(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

// byTaint is the reason of the condition DisruptionTarget that this controller sets.
const byTaint = "DeletionByTaintManager"

func isMarked(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == byTaint
	})
}

// marked is the pod as the target of a disruption.
func marked(pod *corev1.Pod, now time.Time) *corev1.Pod {
	changed := pod.DeepCopy()
	c := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: byTaint,
		Message: "Taint manager: deleting due to NoExecute taint", LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	is := func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget }
	if i := slices.IndexFunc(changed.Status.Conditions, is); i >= 0 {
		changed.Status.Conditions[i] = c
	} else {
		changed.Status.Conditions = append(changed.Status.Conditions, c)
	}
	return changed
}
