package statefulset

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var kind = controllers.Selecting{Kind: controllers.StatefulSet, Selector: func(o *events.Object) *metav1.LabelSelector {
	set, ok := o.Value.(*appsv1.StatefulSet)
	if !ok {
		return nil
	}
	return set.Spec.Selector
}}

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("statefulset-controller").
		Watches("apps", "statefulsets", setChanged).
		Watches("apps", "controllerrevisions", kind.OfChild).
		Watches("", "pods", podChanged).
		Watches("", "persistentvolumeclaims", claimChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// setChanged is Self but for what the controller told of its own failure: that
// must not lead to the next attempt.
func setChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if e := c.Event; e != nil && e.Type == events.Progressed && strings.HasPrefix(e.Reason, "Failed") {
		return
	}
	add(controllers.KeyOf(c))
}

// podChanged maps a pod's change to its set if it matters there, a pod without a
// controller to itself if a set of its name may adopt it, and a pod that is gone
// to the set that may have waited for its name.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
		o, ok1 := c.Old.Value.(*corev1.Pod)
		n, ok2 := c.New.Value.(*corev1.Pod)
		if ok1 && ok2 && o.Status.Phase == n.Status.Phase && controllers.ReadySince(o).Equal(controllers.ReadySince(n)) {
			return
		}
	}
	kind.Kind.OfChild(s, c, add)
	key := controllers.KeyOf(c)
	set, ordinal := parse(key.Name)
	if ordinal < 0 || c.New != nil && controllers.ControllerRef(c.New.Meta()) != nil {
		return
	}
	if owner := controllers.StatefulSet.Key(key.Namespace, set); s.Get(owner).Exists() {
		if c.New == nil {
			add(owner)
		} else {
			add(key)
		}
	}
}

// claimChanged maps a claim that came, goes or changed owners to the sets whose
// claim it is by name: "<template>-<set>-<ordinal>", either with dashes of its own.
func claimChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil {
		o, n := c.Old.Meta(), c.New.Meta()
		if (o.GetDeletionTimestamp() == nil) == (n.GetDeletionTimestamp() == nil) && sameRefs(o.GetOwnerReferences(), n.GetOwnerReferences()) {
			return
		}
	}
	key := controllers.KeyOf(c)
	rest, ordinal := parse(key.Name)
	if ordinal < 0 {
		return
	}
	for {
		_, set, found := strings.Cut(rest, "-")
		if !found {
			return
		}
		if owner := controllers.StatefulSet.Key(key.Namespace, set); s.Get(owner).Exists() {
			add(owner)
		}
		rest = set
	}
}

func sameRefs(a, b []metav1.OwnerReference) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].UID != b[i].UID {
			return false
		}
	}
	return true
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	switch key.Resource {
	case "pods":
		return controllers.Do(adoptPod(s, o)...), nil
	case "controllerrevisions":
		return controllers.Do(kind.Adopt(s, o)...), nil
	}
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	set := o.Value.(*appsv1.StatefulSet)
	selector, err := controllers.Compile(set.Spec.Selector)
	if err != nil || selector.Empty() {
		return controllers.Result{}, err
	}
	pods, strangers := members(s, o, selector)
	if settle := belongings(s, o, selector, strangers); len(settle) > 0 {
		return controllers.Do(settle...), nil // count when it is settled who belongs here
	}
	p := newPass(ctx, s, o, pods)
	wait, err := p.findRevisions(selector)
	if err != nil || wait != nil {
		return controllers.Do(wait...), err
	}
	if set.DeletionTimestamp == nil {
		p.decide()
	}
	return p.result(), nil
}

// members gives the pods that a set controls, and those that it does but shouldn't:
// its selector doesn't match them, or their names aren't of it.
func members(s *projections.Snapshot, o *events.Object, selector labels.Selector) (pods, strangers []*events.Object) {
	matching, strangers := kind.Children(s, o, controllers.Pod, selector)
	for _, p := range matching {
		if set, ordinal := parse(p.Key.Name); ordinal >= 0 && set == o.Key.Name {
			pods = append(pods, p)
		} else {
			strangers = append(strangers, p)
		}
	}
	return pods, strangers
}

// belongings releases strangers and, for a new set, adopts what was there before it.
func belongings(s *projections.Snapshot, o *events.Object, selector labels.Selector, strangers []*events.Object) []controllers.Intent {
	set := o.Value.(*appsv1.StatefulSet)
	if set.DeletionTimestamp != nil {
		return nil
	}
	var settle []controllers.Intent
	for _, p := range strangers {
		settle = append(settle, kind.Release(o, p))
	}
	if set.Status.ObservedGeneration != 0 {
		return settle
	}
	for _, p := range kind.Orphans(s, o, controllers.Pod, selector) {
		if name, ordinal := parse(p.Key.Name); ordinal >= 0 && name == set.Name {
			settle = append(settle, kind.AdoptInto(o, p))
		}
	}
	for _, r := range kind.Orphans(s, o, controllers.ControllerRevision, selector) {
		settle = append(settle, kind.AdoptInto(o, r))
	}
	return settle
}

// adoptPod makes the set of its name the controller of a pod that has none.
func adoptPod(s *projections.Snapshot, pod *events.Object) []controllers.Intent {
	if !pod.Exists() || controllers.ControllerRef(pod.Meta()) != nil || pod.Meta().GetDeletionTimestamp() != nil {
		return nil
	}
	name, ordinal := parse(pod.Key.Name)
	o := s.Get(controllers.StatefulSet.Key(pod.Key.Namespace, name))
	if ordinal < 0 || !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		return nil
	}
	selector, err := controllers.Compile(kind.Selector(o))
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(pod.Meta().GetLabels())) {
		return nil
	}
	return []controllers.Intent{kind.AdoptInto(o, pod)}
}

// findRevisions finds the revisions of the pass; where they have to be made first,
// it gives what is to do before (an empty list: nothing but wait).
func (p *pass) findRevisions(selector labels.Selector) (before []controllers.Intent, err error) {
	parent := revision.Parent{
		Kind: kind, Object: p.object, Template: &p.set.Spec.Template,
		Collisions: p.set.Status.CollisionCount, Naming: revision.ByData,
	}
	p.revisions = revision.Find(p.s, parent, selector)
	status := &p.set.Status
	p.current, p.update = status.CurrentRevision, status.UpdateRevision
	if p.set.DeletionTimestamp != nil {
		return nil, nil
	}
	n := len(p.revisions)
	if n == 0 || status.ObservedGeneration != p.set.Generation || revision.Of(p.revisions[n-1]).Name != status.UpdateRevision {
		present, err := parent.Present(p.s, p.revisions)
		switch {
		case err != nil:
			return nil, err
		case present.Collided:
			updated := *p.set
			updated.Status.CollisionCount = revision.Raised(status.CollisionCount)
			return []controllers.Intent{controllers.Progressed(p.object, &updated)}, nil
		case present.Revision == nil:
			return append([]controllers.Intent{}, present.Intents...), nil
		}
		p.update = revision.Of(present.Revision).Name
	}
	for _, o := range p.revisions {
		if r := revision.Of(o); r.Name == p.current {
			p.currentRevision = r
			return nil, nil
		}
	}
	p.current = p.update
	return nil, nil
}
