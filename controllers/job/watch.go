package job

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// jobChanged maps a Job to itself, and one that is gone to the pods that it kept.
func jobChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.New != nil {
		add(c.New.Key)
		return
	}
	if c.Old == nil {
		return
	}
	for o := range s.OwnedBy("", "pods", string(c.Old.Meta().GetUID())) {
		if tracked(o.Meta()) {
			add(o.Key)
		}
	}
}

// podChanged maps a pod to its Job if the change matters there. A pod that no Job
// counts any more but that still has the finalizer is mapped to itself, as is one
// that a Job may adopt.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event != nil && c.Old != nil && c.New != nil && irrelevant(c) {
		return
	}
	for _, o := range [...]*events.Object{c.Old, c.New} {
		key, uid, ok := kind.ControllerOf(o)
		if !ok {
			continue
		}
		job, exists := projections.Get[*batchv1.Job](s, key)
		switch {
		case exists && string(job.UID) == uid && Finished(job) == nil:
			add(key)
		case o == c.New && tracked(o.Meta()):
			add(o.Key)
		}
	}
	if c.New != nil && controllers.ControllerRef(c.New.Meta()) == nil && claimable(c) {
		add(c.New.Key)
	}
}

// claimable: the pod has nobody, and a Job could want it or must let it go.
func claimable(c projections.Change) bool {
	m := c.New.Meta()
	if tracked(m) || m.GetLabels()[batchv1.ControllerUidLabel] != "" {
		return true
	}
	// Jobs with a selector of the user's own look for pods themselves when a
	// leadership begins.
	return c.Event != nil && c.Event.Prefix == events.PrefixDecision && c.Event.Type != events.Scheduled && len(m.GetLabels()) > 0
}

// irrelevant: nothing that a Job looks at has changed.
func irrelevant(c projections.Change) bool {
	if c.Event.Prefix == events.PrefixDecision && c.Event.Type != events.Scheduled && c.Event.Type != events.Unschedulable {
		return false
	}
	o, ok1 := c.Old.Value.(*corev1.Pod)
	n, ok2 := c.New.Value.(*corev1.Pod)
	return ok1 && ok2 && o.Status.Phase == n.Status.Phase && readySince(o).Equal(readySince(n)) &&
		(n.Spec.RestartPolicy != corev1.RestartPolicyOnFailure || restarts(o) == restarts(n))
}
