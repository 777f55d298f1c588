package statefulset

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
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
	told, wrong := p.set.Annotations[annTold], reasons(p.wrong)
	if same && wrong == told {
		return result
	}
	updated := *p.set
	updated.Status = status
	if wrong != told {
		updated.Annotations = maps.Clone(p.set.Annotations)
		noteTold(&updated, wrong)
	}
	progressed := controllers.Progressed(p.object, &updated)
	news := slices.DeleteFunc(p.wrong, func(s events.Step) bool { return slices.Contains(strings.Split(told, ","), s.Reason) })
	if len(news) > 0 {
		reason, note := events.JoinSteps(news)
		progressed = progressed.Because(reason, "%s", note)
	}
	result.Intents = append([]controllers.Intent{progressed}, result.Intents...)
	return result
}

// annTold holds the reasons that were told, for as long as they hold: what goes
// wrong again and again is told once.
const annTold = "reckon.dev/told"

func reasons(steps []events.Step) string {
	reason, _ := events.JoinSteps(steps)
	return reason
}

func noteTold(set *appsv1.StatefulSet, reasons string) {
	if reasons == "" {
		delete(set.Annotations, annTold)
		return
	}
	if set.Annotations == nil {
		set.Annotations = map[string]string{}
	}
	set.Annotations[annTold] = reasons
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
		what = "Claim " + again.Key.Name + " for Pod " + p.podOf(again.Key.Name)
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
