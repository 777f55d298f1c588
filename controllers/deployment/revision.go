package deployment

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
)

// Annotations that kubectl rollout and older controllers read.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
	rollbackAnnotation = "deprecated.deployment.rollback.to"
)

// own reports annotations that a replica set doesn't take over from its deployment.
func own(name string) bool {
	switch name {
	case corev1.LastAppliedConfigAnnotation, revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation, rollbackAnnotation:
		return true
	}
	return false
}

func revisionOf(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// nextRevision is above that of every old replica set.
func (r *rollout) nextRevision() int64 {
	n := int64(0)
	for _, rs := range r.old {
		n = max(n, revisionOf(rs.Annotations))
	}
	return n + 1
}

// numberRevision gives the new replica set the newest revision (after an undo
// it has an older one), and the deployment the same.
func (r *rollout) numberRevision() ([]controllers.Intent, bool) {
	if r.new == nil {
		return nil, false
	}
	next := max(r.nextRevision(), revisionOf(r.new.Annotations))
	annotations := r.annotationsFor(r.new.Annotations, -1, next)
	if !maps.Equal(annotations, r.new.Annotations) || r.new.Spec.MinReadySeconds != r.d.Spec.MinReadySeconds {
		changed := r.new.DeepCopy()
		changed.Annotations = annotations
		changed.Spec.MinReadySeconds = r.d.Spec.MinReadySeconds
		return []controllers.Intent{controllers.Patch(r.new.object, changed)}, true
	}
	if revisionOf(r.d.Annotations) != next {
		changed := r.d.DeepCopy()
		changed.Annotations = with(changed.Annotations, revisionAnnotation, strconv.FormatInt(next, 10))
		return []controllers.Intent{controllers.Update(r.object, changed)}, true
	}
	return nil, false
}

// annotationsFor are those of the new replica set: the deployment's, its revision
// and, where it changes, the revisions it had. size < 0 leaves the sizes alone.
func (r *rollout) annotationsFor(have map[string]string, size int32, next int64) map[string]string {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range r.d.Annotations {
		if !own(k) {
			out[k] = v
		}
	}
	if had := revisionOf(have); had < next {
		out[revisionAnnotation] = strconv.FormatInt(next, 10)
		if had > 0 {
			out[historyAnnotation] = withRevision(have[historyAnnotation], strconv.FormatInt(had, 10))
		}
	}
	if size >= 0 {
		out = r.sizeAnnotations(out)
	}
	return out
}

// longestHistory bounds the annotation, in characters.
const longestHistory = 2000

// withRevision adds a revision to those that a replica set had, and leaves out the
// oldest where the list becomes too long.
func withRevision(history, revision string) string {
	if history == "" {
		return revision
	}
	for len(history)+1+len(revision) > longestHistory {
		_, rest, more := strings.Cut(history, ",")
		if !more {
			return revision
		}
		history = rest
	}
	return history + "," + revision
}

// sizeAnnotations record the size that a replica set's replicas are a part of.
func (r *rollout) sizeAnnotations(have map[string]string) map[string]string {
	surge, _ := limits(r.d)
	out := with(have, desiredAnnotation, strconv.Itoa(int(*r.d.Spec.Replicas)))
	out[maxAnnotation] = strconv.Itoa(int(*r.d.Spec.Replicas + surge))
	return out
}

// cleanUp deletes the oldest finished replica sets beyond the history limit, once
// the rollout is complete.
func (r *rollout) cleanUp() []controllers.Intent {
	if r.d.Spec.RevisionHistoryLimit == nil || !r.complete(r.status()) && !r.d.Spec.Paused {
		return nil
	}
	var empty []*replicaSet
	for _, rs := range r.old {
		if rs.DeletionTimestamp == nil {
			empty = append(empty, rs)
		}
	}
	surplus := len(empty) - int(*r.d.Spec.RevisionHistoryLimit)
	slices.SortStableFunc(empty, func(a, b *replicaSet) int {
		return cmp.Or(cmp.Compare(revisionOf(a.Annotations), revisionOf(b.Annotations)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	var steps []controllers.Intent
	for _, rs := range empty[:max(0, surplus)] {
		if rs.Status.Replicas == 0 && rs.replicas() == 0 && rs.Generation <= rs.Status.ObservedGeneration {
			steps = append(steps, controllers.Delete(rs.object))
		}
	}
	return steps
}
