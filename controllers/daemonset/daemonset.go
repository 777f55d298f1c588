package daemonset

import (
	"context"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the pods created or deleted by one reconcile: the next one waits
// for the last of them.
const burst = 1000

// quietPerNode is how long a reconcile keeps the next one off, per node looked at.
const quietPerNode = 25 * time.Microsecond

var kind = controllers.Selecting{Kind: controllers.DaemonSet, Selector: func(o *events.Object) *metav1.LabelSelector {
	ds, ok := o.Value.(*appsv1.DaemonSet)
	if !ok {
		return nil
	}
	return ds.Spec.Selector
}}

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("daemon-set-controller").
		Watches("apps", "daemonsets", setChanged).
		Watches("apps", "controllerrevisions", kind.OfChild).
		Watches("", "pods", podChanged).
		Watches("", "nodes", nodeChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// setChanged leaves out what this controller itself says of a set.
func setChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event == nil || c.Event.Type != events.Progressed {
		add(controllers.KeyOf(c))
	}
}

// podChanged maps a pod's change to its set if it matters there.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
		o, ok1 := c.Old.Value.(*corev1.Pod)
		n, ok2 := c.New.Value.(*corev1.Pod)
		if ok1 && ok2 && o.Status.Phase == n.Status.Phase && controllers.ReadySince(o).Equal(controllers.ReadySince(n)) {
			return
		}
	}
	kind.OfChild(s, c, add)
}

// nodeChanged maps a node that came, went or got other labels or taints to all sets.
func nodeChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if was, is := nodeOf(c.Old), nodeOf(c.New); was != nil && is != nil &&
		maps.Equal(was.Labels, is.Labels) && slices.EqualFunc(was.Spec.Taints, is.Spec.Taints, sameTaint) {
		return
	}
	for o := range s.List("apps", "daemonsets", "") {
		add(o.Key)
	}
}

func nodeOf(o *events.Object) *corev1.Node {
	if !o.Exists() {
		return nil
	}
	node, _ := o.Value.(*corev1.Node)
	return node
}

func sameTaint(a, b corev1.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if key.Resource != kind.Resource {
		return controllers.Do(kind.Adopt(s, o)...), nil
	}
	if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		return controllers.Result{}, nil
	}
	ds := o.Value.(*appsv1.DaemonSet)
	selector, err := controllers.Compile(ds.Spec.Selector)
	if err != nil || selector.Empty() {
		return controllers.Result{}, err
	}
	pods, strangers := kind.Children(s, o, controllers.Pod, selector)
	var settle []controllers.Intent
	for _, p := range strangers {
		settle = append(settle, kind.Release(o, p))
	}
	if ds.Status.ObservedGeneration == 0 {
		for _, child := range []controllers.Kind{controllers.Pod, controllers.ControllerRevision} {
			for _, orphan := range kind.Orphans(s, o, child, selector) {
				settle = append(settle, kind.AdoptInto(o, orphan))
			}
		}
	}
	if len(settle) > 0 {
		return controllers.Do(settle...), nil // decide when it is settled who belongs here
	}
	parent := revision.Parent{
		Kind: kind, Object: o, Template: &ds.Spec.Template,
		Collisions: ds.Status.CollisionCount, Naming: revision.ByTemplate,
	}
	revisions := revision.Find(s, parent, selector)
	present, err := parent.Present(s, revisions)
	switch {
	case err != nil:
		return controllers.Result{}, err
	case present.Collided:
		raised := *ds
		raised.Status.CollisionCount = revision.Raised(ds.Status.CollisionCount)
		return controllers.Result{Intents: []controllers.Intent{controllers.Progressed(o, &raised)}, RequeueAfter: time.Millisecond}, nil
	case present.Revision == nil:
		return controllers.Do(present.Intents...), nil
	}
	v := look(s, ds, revision.Of(present.Revision), pods, controllers.Now(ctx))
	return v.decide(ctx, s, o, revisions), nil
}
