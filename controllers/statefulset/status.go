package statefulset

import (
	"errors"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
)

// result is what the pass wants done, its status first: after a refusal nothing
// more is started.
func (p *pass) result() controllers.Result {
	status, wait := p.status()
	if p.failure != nil && len(p.intents) > 0 {
		p.refused(p.intents[0])
	}
	result := controllers.Result{Intents: append(p.intents, p.prune()...), RequeueAfter: wait}
	same := apiequality.Semantic.DeepEqual(&p.set.Status, &status)
	if same && p.reason == "" {
		return result
	}
	updated := *p.set
	updated.Status = status
	progressed := controllers.Progressed(p.object, &updated)
	if p.reason != "" {
		progressed = progressed.Because(p.reason, "%s", p.note)
	}
	result.Intents = append([]controllers.Intent{progressed}, result.Intents...)
	return result
}

// refused tells of what the API refused and is now tried again.
func (p *pass) refused(again controllers.Intent) {
	var refusal *controllers.APIError
	if !errors.As(p.failure, &refusal) {
		return
	}
	verb, what := "Update", "Pod "+again.Key.Name
	switch refusal.Verb {
	case controllers.VerbCreate:
		verb = "Create"
	case controllers.VerbDelete:
		verb = "Delete"
	}
	if again.Key.Resource == controllers.PersistentVolumeClaim.Resource {
		what = "Claim " + again.Key.Name
	}
	p.failed("Failed"+verb, "%s %s in StatefulSet %s failed error: %s", verb, what, p.set.Name, refusal.Status.Message)
}

// status counts the pods; wait is until one that is ready becomes available.
func (p *pass) status() (s appsv1.StatefulSetStatus, wait time.Duration) {
	s = appsv1.StatefulSetStatus{
		ObservedGeneration: p.set.Generation, CurrentRevision: p.current, UpdateRevision: p.update,
		CollisionCount: p.set.Status.CollisionCount, Conditions: p.set.Status.Conditions,
	}
	if s.CollisionCount == nil {
		s.CollisionCount = new(int32)
	}
	for _, r := range slices.Concat(p.replicas, p.condemned) {
		if r.pod == nil {
			continue
		}
		s.Replicas++
		if since := controllers.ReadySince(r.pod); r.pod.Status.Phase == corev1.PodRunning && !since.IsZero() {
			s.ReadyReplicas++
			if p.available(r) {
				s.AvailableReplicas++
			} else if left := since.Add(p.minReady()).Sub(p.now); wait == 0 || left < wait {
				wait = left
			}
		}
		if !r.terminating() {
			if r.revision() == p.current {
				s.CurrentReplicas++
			}
			if r.revision() == p.update {
				s.UpdatedReplicas++
			}
		}
	}
	s.CurrentReplicas -= p.leaving
	if n := *p.set.Spec.Replicas; p.set.DeletionTimestamp == nil && s.UpdatedReplicas == n && s.ReadyReplicas == n && s.Replicas == n {
		s.CurrentReplicas, s.CurrentRevision = s.UpdatedReplicas, s.UpdateRevision
	}
	return s, wait
}

// prune deletes the oldest revisions beyond the limit, but for those in use.
func (p *pass) prune() []controllers.Intent {
	if p.set.DeletionTimestamp != nil || p.set.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	limit := int(*p.set.Spec.RevisionHistoryLimit)
	if len(p.revisions) <= limit {
		return nil
	}
	used := map[string]bool{p.current: true, p.update: true}
	for _, r := range slices.Concat(p.replicas, p.condemned) {
		if r.pod != nil {
			used[r.revision()] = true
		}
	}
	return revision.Prune(p.revisions, limit, func(r *appsv1.ControllerRevision) bool { return used[r.Name] })
}
