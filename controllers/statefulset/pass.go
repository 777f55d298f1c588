package statefulset

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the pods that one pass of a Parallel set makes.
const burst = 500

// pass is one look at a set with its pods.
type pass struct {
	s         *projections.Snapshot
	object    *events.Object
	set       *appsv1.StatefulSet
	now       time.Time
	failure   error
	ordered   bool       // OrderedReady: one after the other
	replicas  []*replica // of the ordinals that there are to be, lowest first
	condemned []*replica // the others, highest first

	revisions       []*events.Object // oldest first
	current, update string           // names of revisions
	currentRevision *appsv1.ControllerRevision
	currentTemplate *corev1.PodTemplateSpec // decoded once it is needed

	intents []controllers.Intent
	tried   int           // pods to make, or their claims
	leaving int32         // pods of the current revision that the rollout deletes
	wrong   []events.Step // what went wrong, the first of each reason
}

// replica is an ordinal and its pod, nil if there is none.
type replica struct {
	ordinal int
	object  *events.Object
	pod     *corev1.Pod
}

func (r *replica) terminating() bool { return r.pod.DeletionTimestamp != nil }

func (r *replica) revision() string { return r.pod.Labels[appsv1.StatefulSetRevisionLabel] }

func newPass(ctx context.Context, s *projections.Snapshot, o *events.Object, pods []*events.Object) *pass {
	set := o.Value.(*appsv1.StatefulSet)
	p := &pass{
		s: s, object: o, set: set, now: controllers.Now(ctx), failure: controllers.Failure(ctx),
		ordered: set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement,
	}
	first, n := start(set), int(*set.Spec.Replicas)
	for i := range n {
		p.replicas = append(p.replicas, &replica{ordinal: first + i})
	}
	for _, pod := range pods {
		_, ordinal := parse(pod.Key.Name)
		r := &replica{ordinal: ordinal, object: pod, pod: pod.Value.(*corev1.Pod)}
		if i := ordinal - first; i >= 0 && i < n {
			p.replicas[i] = r
		} else {
			p.condemned = append(p.condemned, r)
		}
	}
	slices.SortFunc(p.condemned, func(a, b *replica) int { return b.ordinal - a.ordinal })
	return p
}

// decide goes through the stages; each waits until those before it have nothing
// more to wait for. Only a Parallel set never waits.
func (p *pass) decide() {
	if p.keepReplicas() && p.keepCondemned() && p.scaleDown() {
		p.rollOut()
	}
}

// keepReplicas makes the pods that are missing, and keeps the others what they are.
func (p *pass) keepReplicas() bool {
	for _, r := range p.replicas {
		if !p.keep(r) && p.ordered {
			return false
		}
	}
	return true
}

// keep reports whether the next ordinal's turn has come.
func (p *pass) keep(r *replica) bool {
	switch {
	case r.pod == nil:
		p.create(r)
		return false
	case controllers.Finished(r.pod):
		if !r.terminating() {
			p.delete(r)
		}
		return false
	}
	if r.pod.Status.Phase == corev1.PodPending {
		p.makeClaims(r.ordinal)
	}
	if p.ordered && (r.terminating() || r.pod.Status.Phase != corev1.PodRunning || !p.available(r)) {
		return false
	}
	p.keepClaims(r, false)
	if r.pod.Labels[appsv1.StatefulSetPodNameLabel] != r.pod.Name {
		labelled := r.pod.DeepCopy()
		label(labelled, r.ordinal)
		p.do(controllers.Patch(r.object, labelled).
			Because("SuccessfulUpdate", "Update Pod %s in StatefulSet %s successful", r.pod.Name, p.set.Name))
	}
	return true
}

// create makes the pod of an ordinal unless it has to wait: for its name, or for
// its claims.
func (p *pass) create(r *replica) {
	name := podName(p.set, r.ordinal)
	if p.tried >= burst || p.failure != nil && p.tried > 0 || p.s.Get(controllers.Pod.Key(p.set.Namespace, name)).Exists() || p.leftBehind(r.ordinal) {
		return
	}
	p.tried++
	if !p.makeClaims(r.ordinal) {
		return
	}
	template, rev, err := p.template(r.ordinal)
	if err != nil {
		p.failed("FailedCreate", "Create Pod %s in StatefulSet %s failed error: %s", name, p.set.Name, err)
		return
	}
	p.do(controllers.Create(controllers.Pod, newPod(p.set, template, rev, r.ordinal)).
		Because("SuccessfulCreate", "Create Pod %s in StatefulSet %s successful", name, p.set.Name))
}

// template is what a new pod of an ordinal is made from, and its revision's name:
// below the partition the current one.
func (p *pass) template(ordinal int) (*corev1.PodTemplateSpec, string, error) {
	kept, rolling := 0, p.set.Spec.UpdateStrategy.RollingUpdate
	switch {
	case rolling != nil && rolling.Partition != nil:
		kept = int(*rolling.Partition)
	case rolling == nil && p.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType:
		kept = int(p.set.Status.CurrentReplicas)
	}
	if p.current == p.update || p.currentRevision == nil || ordinal >= start(p.set)+kept {
		return &p.set.Spec.Template, p.update, nil
	}
	if p.currentTemplate == nil {
		t, err := revision.Template(p.currentRevision)
		if err != nil {
			return nil, "", err
		}
		p.currentTemplate = t
	}
	return p.currentTemplate, p.current, nil
}

// keepCondemned gives the claims of pods that are to go the owners to go with.
func (p *pass) keepCondemned() bool {
	settled := true
	for _, r := range p.condemned {
		settled = p.keepClaims(r, true) && settled
	}
	return settled
}

// scaleDown deletes the pods above the size, an ordered set's one at a time.
func (p *pass) scaleDown() bool {
	if !p.ordered {
		for _, r := range p.condemned {
			if !r.terminating() {
				p.delete(r)
			}
		}
		return true
	}
	if len(p.condemned) == 0 {
		return true
	}
	r := p.condemned[0]
	// One that isn't available holds up the rest, but for the first of them: going
	// is all that is left for it.
	healthy := r.pod.Status.Phase == corev1.PodRunning && p.available(r)
	if !r.terminating() && (healthy || r == p.firstUnavailable()) {
		p.delete(r)
	}
	return false
}

// firstUnavailable is the unavailable pod of the lowest ordinal; those that stay
// come before the condemned.
func (p *pass) firstUnavailable() *replica {
	for _, r := range p.replicas {
		if r.pod == nil || !p.serves(r) {
			return r
		}
	}
	for _, r := range slices.Backward(p.condemned) {
		if !p.serves(r) {
			return r
		}
	}
	return nil
}

// available reports a pod that has been ready for long enough.
func (p *pass) available(r *replica) bool {
	since := controllers.ReadySince(r.pod)
	return !since.IsZero() && (p.set.Spec.MinReadySeconds == 0 || !since.Add(p.minReady()).After(p.now))
}

// serves reports a pod that is available and stays.
func (p *pass) serves(r *replica) bool { return p.available(r) && !r.terminating() }

func (p *pass) minReady() time.Duration {
	return time.Duration(p.set.Spec.MinReadySeconds) * time.Second
}

func (p *pass) delete(r *replica) {
	p.do(controllers.Delete(r.object).Because("SuccessfulDelete", "Delete Pod %s in StatefulSet %s successful", r.pod.Name, p.set.Name))
}

func (p *pass) do(i controllers.Intent) { p.intents = append(p.intents, i) }

// failed is told with the status; the first failure of each reason counts.
func (p *pass) failed(reason, format string, args ...any) {
	if !slices.ContainsFunc(p.wrong, func(s events.Step) bool { return s.Reason == reason }) {
		p.wrong = append(p.wrong, events.Step{Reason: reason, Note: fmt.Sprintf(format, args...)})
	}
}
