package deployment

import (
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

func sameStatus(a, b *appsv1.DeploymentStatus) bool { return apiequality.Semantic.DeepEqual(a, b) }

// status counts; the conditions stay but for Available and ReplicaFailure.
func (r *rollout) status() appsv1.DeploymentStatus {
	d := r.d
	s := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, CollisionCount: d.Status.CollisionCount,
		Conditions: append([]appsv1.DeploymentCondition(nil), d.Status.Conditions...),
	}
	available := int32(0)
	for _, rs := range r.all {
		s.Replicas += rs.Status.Replicas
		s.ReadyReplicas += rs.Status.ReadyReplicas
		available += rs.Status.AvailableReplicas
	}
	s.AvailableReplicas, s.TerminatingReplicas = available, r.terminating()
	s.UnavailableReplicas = max(0, sum(r.all, (*replicaSet).replicas)-available)
	if r.new != nil {
		s.UpdatedReplicas = r.new.Status.Replicas
	}
	_, unavailable := limits(d)
	if available >= *d.Spec.Replicas-unavailable {
		r.set(&s, appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.")
	} else {
		r.set(&s, appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
	}
	r.setFailure(&s)
	return s
}

// terminating is how many pods are about to go; nil while a replica set has yet to say.
func (r *rollout) terminating() *int32 {
	n := int32(0)
	for _, rs := range r.all {
		switch t := rs.Status.TerminatingReplicas; {
		case t != nil:
			n += *t
		case rs.Status.ObservedGeneration != 0:
			return nil
		}
	}
	return &n
}

// setFailure shows why a replica set can't make or delete its pods, the new one
// before others.
func (r *rollout) setFailure(s *appsv1.DeploymentStatus) {
	sets := r.old
	if r.new != nil {
		sets = append([]*replicaSet{r.new}, r.old...)
	}
	for _, rs := range sets {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				r.set(s, appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message)
				return
			}
		}
	}
	remove(s, appsv1.DeploymentReplicaFailure)
}

// rolloutStatus is status with the condition Progressing; wait is the time left
// until the progress deadline.
func (r *rollout) rolloutStatus(steps []controllers.Intent) (s appsv1.DeploymentStatus, wait time.Duration) {
	s = r.status()
	if r.d.Spec.ProgressDeadlineSeconds == nil {
		remove(&s, appsv1.DeploymentProgressing)
		return s, 0
	}
	if r.d.Spec.Paused {
		return s, 0
	}
	was := find(&r.d.Status, appsv1.DeploymentProgressing)
	name := fmt.Sprintf("ReplicaSet %q", r.newName(steps))
	switch {
	case r.refused(steps) != "":
		r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionFalse, createError, r.refused(steps))
		return s, 0
	case r.new == nil && len(steps) > 0 && steps[0].Verb == controllers.VerbCreate:
		r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", r.newName(steps)))
	case r.new == nil:
		r.touch(&s, "ReplicaSetUpdated", fmt.Sprintf("Deployment %q is progressing.", r.d.Name))
	case r.complete(s) && len(steps) == 0:
		r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable", name+" has successfully progressed.")
	case was != nil && was.Reason == createError:
		r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", r.new.Name))
	case was == nil:
		r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", r.new.Name))
	case was.Reason == "NewReplicaSetAvailable" && s.Replicas == s.UpdatedReplicas:
		// Scaled, or pods of a finished rollout come and go.
	case r.moved(s) || was.Reason == "NewReplicaSetAvailable" && r.revised(s):
		r.touch(&s, "ReplicaSetUpdated", name+" is progressing.")
	case was.Reason == "NewReplicaSetAvailable":
		// An earlier template is taken up again; its first pod will tell.
	default:
		deadline := was.LastUpdateTime.Add(time.Duration(*r.d.Spec.ProgressDeadlineSeconds) * time.Second)
		if wait = deadline.Sub(controllers.Now(r.ctx)); wait <= 0 {
			wait = 0
			r.set(&s, appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", name+" has timed out progressing.")
		}
		return s, wait
	}
	if p := find(&s, appsv1.DeploymentProgressing); p != nil && p.Reason != "NewReplicaSetAvailable" && p.Status == corev1.ConditionTrue {
		wait = max(0, p.LastUpdateTime.Add(time.Duration(*r.d.Spec.ProgressDeadlineSeconds)*time.Second).Sub(controllers.Now(r.ctx)))
	}
	return s, wait
}

// createError is the reason of Progressing while the new replica set is refused.
const createError = "ReplicaSetCreateError"

// refused says why the API didn't take the new replica set that is now tried again,
// "" if it did.
func (r *rollout) refused(steps []controllers.Intent) string {
	var refusal *controllers.APIError
	if r.new != nil || len(steps) == 0 || steps[0].Verb != controllers.VerbCreate || !errors.As(controllers.Failure(r.ctx), &refusal) ||
		refusal.Verb != controllers.VerbCreate || refusal.HasCause(corev1.NamespaceTerminatingCause) {
		return ""
	}
	return fmt.Sprintf("Failed to create new replica set %q: %s", r.newName(steps), refusal.Status.Message)
}

func (r *rollout) newName(steps []controllers.Intent) string {
	if r.new != nil {
		return r.new.Name
	}
	for _, i := range steps {
		if i.Verb == controllers.VerbCreate {
			return i.Key.Name
		}
	}
	return ""
}

// complete: all pods are new, serve, and none of the old is left.
func (r *rollout) complete(s appsv1.DeploymentStatus) bool {
	n := *r.d.Spec.Replicas
	return s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n && s.ObservedGeneration >= r.d.Generation
}

// moved: more new pods, fewer old ones, or more that are ready or serve.
func (r *rollout) moved(s appsv1.DeploymentStatus) bool {
	o := &r.d.Status
	return s.UpdatedReplicas > o.UpdatedReplicas || s.Replicas-s.UpdatedReplicas < o.Replicas-o.UpdatedReplicas ||
		s.ReadyReplicas > o.ReadyReplicas || s.AvailableReplicas > o.AvailableReplicas
}

// revised: the spec changed since the last status.
func (r *rollout) revised(s appsv1.DeploymentStatus) bool {
	return s.ObservedGeneration != r.d.Status.ObservedGeneration
}

// pausedCondition is the status that tells of a pause or its end, nil if it is told.
func (r *rollout) pausedCondition() *appsv1.DeploymentStatus {
	if r.d.Spec.ProgressDeadlineSeconds == nil {
		return nil
	}
	was := find(&r.d.Status, appsv1.DeploymentProgressing)
	if was != nil && was.Reason == "ProgressDeadlineExceeded" {
		return nil
	}
	told := was != nil && was.Reason == "DeploymentPaused"
	if told == r.d.Spec.Paused {
		return nil
	}
	s := r.d.Status.DeepCopy()
	if told {
		r.set(s, appsv1.DeploymentProgressing, corev1.ConditionUnknown, "DeploymentResumed", "Deployment is resumed")
	} else {
		r.set(s, appsv1.DeploymentProgressing, corev1.ConditionUnknown, "DeploymentPaused", "Deployment is paused")
	}
	return s
}

func find(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// set sets a condition unless status and reason are what they were.
func (r *rollout) set(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) {
	now := metav1.NewTime(controllers.Now(r.ctx).Truncate(time.Second))
	c := appsv1.DeploymentCondition{Type: t, Status: status, Reason: reason, Message: message, LastUpdateTime: now, LastTransitionTime: now}
	was := find(s, t)
	if was == nil {
		s.Conditions = append(s.Conditions, c)
		return
	}
	if was.Status == status && was.Reason == reason && (t != appsv1.DeploymentProgressing || was.Message == message) {
		return
	}
	if was.Status == status {
		c.LastTransitionTime = was.LastTransitionTime
	}
	*was = c
}

// touch is set of Progressing that counts as progress again, whatever it was.
func (r *rollout) touch(s *appsv1.DeploymentStatus, reason, message string) {
	r.set(s, appsv1.DeploymentProgressing, corev1.ConditionTrue, reason, message)
	find(s, appsv1.DeploymentProgressing).LastUpdateTime = metav1.NewTime(controllers.Now(r.ctx).Truncate(time.Second))
}

func remove(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			s.Conditions = append(s.Conditions[:i:i], s.Conditions[i+1:]...)
			return
		}
	}
}
