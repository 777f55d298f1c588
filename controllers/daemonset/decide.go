package daemonset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// plan is what is to happen to a set's pods.
type plan struct {
	create []placement
	remove []removal
}

// placement is a pod to be created.
type placement struct {
	node     string
	failures int // of the pods before it
}

// removal is a pod to be deleted, and why.
type removal struct {
	pod          *events.Object
	reason, note string
}

func (p *plan) delete(pods ...*events.Object) {
	for _, o := range pods {
		p.remove = append(p.remove, removal{o, "SuccessfulDelete", "Deleted pod: " + o.Key.Name})
	}
}

// decide turns what was seen into intents: first each node gets what it is to
// have, and only when nothing is missing pods are replaced by newer ones.
func (v *view) decide(ctx context.Context, s *projections.Snapshot, o *events.Object, revisions []*events.Object) controllers.Result {
	p := v.place()
	if len(p.create)+len(p.remove) == 0 && v.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		p = v.roll()
	}
	failure := controllers.Failure(ctx)
	intents := v.intents(s, p, failure)
	result := controllers.Result{RequeueAfter: v.next}
	if len(intents) == 0 {
		result.Quiet = time.Duration(len(v.nodes)) * quietPerNode
		intents = v.prune(revisions)
	}
	reason, doing, message := controllers.Refusal(failure)
	told := failure != nil && (reason == "FailedDelete" && len(p.remove) > 0 || reason == "FailedCreate" && len(p.create) > 0)
	status := v.status()
	if told || !sameStatus(&v.set.Status, &status) {
		changed := *v.set
		changed.Status = status
		progressed := controllers.Progressed(o, &changed)
		if told {
			progressed = progressed.Because(reason, "Error %s: %s", doing, message)
		}
		// First: after a refused create nothing more is started.
		result.Intents = append(result.Intents, progressed)
	}
	result.Intents = append(result.Intents, intents...)
	return result
}

// intents carries a plan out, up to burst pods each way; after a failure one pod.
func (v *view) intents(s *projections.Snapshot, p plan, failure error) []controllers.Intent {
	var intents []controllers.Intent
	for _, r := range p.remove[:min(len(p.remove), burst)] {
		intents = append(intents, controllers.Delete(r.pod).Because(r.reason, "%s", r.note))
	}
	most := burst
	if failure != nil {
		most = 1
	}
	names := controllers.Namer{Prefix: v.set.Name, UID: string(v.set.UID), Position: s.Position()}
	for _, c := range p.create[:min(len(p.create), most)] {
		pod := v.newPod(c)
		pod.Name = names.Next(func(name string) bool { return s.Get(controllers.Pod.Key(pod.Namespace, name)).Exists() })
		intents = append(intents, controllers.Create(controllers.Pod, pod).Because("SuccessfulCreate", "Created pod: %s", pod.Name))
	}
	return intents
}

// prune deletes the oldest revisions beyond spec.revisionHistoryLimit that no pod has.
func (v *view) prune(revisions []*events.Object) []controllers.Intent {
	limit := 10
	if l := v.set.Spec.RevisionHistoryLimit; l != nil {
		limit = int(*l)
	}
	tooMany := len(revisions) - 1 - limit
	if tooMany <= 0 {
		return nil
	}
	live := map[string]bool{v.hash: true}
	for _, o := range v.all {
		live[o.Value.(*corev1.Pod).Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] = true
	}
	inUse := func(r *appsv1.ControllerRevision) bool { return live[hashOf(r)] }
	spare := 0
	for _, o := range revisions {
		if !inUse(revision.Of(o)) {
			spare++
		}
	}
	return revision.Prune(revisions, max(0, spare-tooMany), inUse)
}
