package namespace

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the deletes of one reconcile, quiet their frequency.
const (
	burst = 2000
	quiet = 100 * time.Millisecond
)

// New makes the controller. volatile (nil: there are none) has the Leases and
// Events that outside programs keep in namespaces.
func New(volatile *projections.Projection) *controllers.Controller {
	e := emptier{volatile}
	return controllers.New("namespace-controller").
		For("", "namespaces").
		Watches("*", "*", left).
		Watches(apiServices.Group, apiServices.Resource, answers).
		Writes(events.Progressed).
		Reconcile(e.reconcile)
}

// left maps what left a namespace that is being deleted, and what came into it or
// got or lost a finalizer there, to the namespace. Other changes of what is being
// deleted already change nothing.
func left(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	k := controllers.KeyOf(c)
	if k.Namespace == "" {
		return
	}
	if c.Old.Exists() && c.New.Exists() && c.New.Meta().GetDeletionTimestamp() != nil &&
		c.Old.Meta().GetDeletionTimestamp() != nil && len(c.Old.Meta().GetFinalizers()) == len(c.New.Meta().GetFinalizers()) {
		return
	}
	ns := controllers.Namespace.Key("", k.Namespace)
	if o := s.Get(ns); o.Exists() && o.Meta().GetDeletionTimestamp() != nil {
		add(ns)
	}
}

type emptier struct{ volatile *projections.Projection }

func (e emptier) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() == nil {
		return controllers.Result{}, nil
	}
	ns, ok := o.Value.(*corev1.Namespace)
	if !ok || !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return controllers.Result{}, nil
	}
	c := look(s, key.Name)
	c.unanswered = unanswered(s)
	c.failure = controllers.Failure(ctx)
	if len(c.resources) == 0 && len(c.unanswered) == 0 {
		if fleeting := e.fleeting(key.Name); len(fleeting) > 0 {
			return controllers.Result{Intents: fleeting, RequeueAfter: quiet}, nil
		}
		done := ns.DeepCopy()
		done.Spec.Finalizers = slices.DeleteFunc(done.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
		finalize := controllers.Update(o, done)
		finalize.Subresource = "finalize"
		return controllers.Do(finalize), nil
	}
	result := controllers.Result{Quiet: quiet}
	status := newStatus(ns, c, controllers.Now(ctx))
	if differs(&ns.Status, &status, len(c.present) > 0) {
		changed := *ns
		changed.Status = status
		result.Intents = append(result.Intents, controllers.Progressed(o, &changed))
	}
	result.Intents = append(result.Intents, deletes(c)...)
	return result, nil
}

// deletes are those of what isn't deleted yet; what could not be deleted the last
// time comes last.
func deletes(c contents) []controllers.Intent {
	present := slices.Clone(c.present[:min(len(c.present), burst)])
	stubborn := failedAt(c.failure)
	slices.SortStableFunc(present, func(a, b *events.Object) int {
		switch is, was := stubborn == "delete "+a.Key.String(), stubborn == "delete "+b.Key.String(); {
		case is == was:
			return 0
		case is:
			return 1
		}
		return -1
	})
	background := metav1.DeletePropagationBackground
	intents := make([]controllers.Intent, 0, len(present))
	for _, object := range present {
		i := controllers.Delete(object)
		i.Options.PropagationPolicy = &background
		intents = append(intents, i)
	}
	return intents
}
