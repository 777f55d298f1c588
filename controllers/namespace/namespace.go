package namespace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the deletes of one reconcile.
const burst = 500

// New makes the controller. volatile (nil: there are none) has the Leases and
// Events that outside programs keep in namespaces.
func New(volatile *projections.Projection) *controllers.Controller {
	e := emptier{volatile}
	return controllers.New("namespace-controller").
		For("", "namespaces").
		Watches("*", "*", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			k := controllers.KeyOf(c)
			if k.Namespace == "" {
				return
			}
			ns := controllers.Namespace.Key("", k.Namespace)
			if o := s.Get(ns); o.Exists() && o.Meta().GetDeletionTimestamp() != nil {
				add(ns)
			}
		}).
		Writes(events.Progressed).
		Reconcile(e.reconcile)
}

// contents is what a namespace still holds.
type contents struct {
	present    []*events.Object // not deleted yet
	resources  map[string]int   // what is there, by resource
	finalizers map[string]int   // what holds it, by finalizer
}

type emptier struct{ volatile *projections.Projection }

// fleeting gives deletes for what is left in the VOLATILE stream.
func (e emptier) fleeting(namespace string) []controllers.Intent {
	if e.volatile == nil {
		return nil
	}
	var intents []controllers.Intent
	s := e.volatile.Snapshot()
	for group, resource := range s.Resources() {
		for o := range s.List(group, resource, namespace) {
			intents = append(intents, controllers.Delete(o))
		}
	}
	return intents[:min(len(intents), burst)]
}

func (e emptier) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() == nil {
		return controllers.Result{}, nil
	}
	ns := o.Value.(*corev1.Namespace)
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return controllers.Result{}, nil
	}
	c := look(s, key.Name)
	if len(c.resources) == 0 {
		if left := e.fleeting(key.Name); len(left) > 0 {
			return controllers.Result{Intents: left, RequeueAfter: 100 * time.Millisecond}, nil
		}
		done := ns.DeepCopy()
		done.Spec.Finalizers = slices.DeleteFunc(done.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
		finalize := controllers.Update(o, done)
		finalize.Subresource = "finalize"
		return controllers.Do(finalize), nil
	}
	var result controllers.Result
	if status := newStatus(ns, c, controllers.Now(ctx)); !apiequality.Semantic.DeepEqual(&ns.Status, &status) {
		changed := *ns
		changed.Status = status
		result.Intents = append(result.Intents, controllers.Progressed(o, &changed))
	}
	background := metav1.DeletePropagationBackground
	for _, object := range c.present[:min(len(c.present), burst)] {
		i := controllers.Delete(object)
		i.Options.PropagationPolicy = &background
		result.Intents = append(result.Intents, i)
	}
	result.Quiet = 100 * time.Millisecond
	return result, nil
}

// look finds what is in a namespace.
func look(s *projections.Snapshot, namespace string) contents {
	c := contents{resources: map[string]int{}, finalizers: map[string]int{}}
	for group, resource := range s.Resources() {
		name := resource + "."
		if group != "" {
			name += group
		}
		for o := range s.List(group, resource, namespace) {
			if o.Key.Namespace == "" {
				continue
			}
			c.resources[name]++
			m := o.Meta()
			for _, f := range m.GetFinalizers() {
				c.finalizers[f]++
			}
			if m.GetDeletionTimestamp() == nil {
				c.present = append(c.present, o)
			}
		}
	}
	return c
}

// newStatus tells what holds the deletion up.
func newStatus(ns *corev1.Namespace, c contents, now time.Time) corev1.NamespaceStatus {
	status := *ns.Status.DeepCopy()
	status.Phase = corev1.NamespaceTerminating
	at := metav1.NewTime(now.Truncate(time.Second))
	set := func(t corev1.NamespaceConditionType, holds bool, reason, message string) {
		cond := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: at}
		if holds {
			cond.Status = corev1.ConditionTrue
		}
		for i := range status.Conditions {
			if was := &status.Conditions[i]; was.Type == t {
				if was.Status == cond.Status {
					cond.LastTransitionTime = was.LastTransitionTime
				}
				*was = cond
				return
			}
		}
		status.Conditions = append(status.Conditions, cond)
	}
	set(corev1.NamespaceDeletionDiscoveryFailure, false, "ResourcesDiscovered", "All resources successfully discovered")
	set(corev1.NamespaceDeletionGVParsingFailure, false, "ParsedGroupVersions", "All legacy kube types successfully parsed")
	set(corev1.NamespaceDeletionContentFailure, false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	set(corev1.NamespaceContentRemaining, true, "SomeResourcesRemain", "Some resources are remaining: "+counted(c.resources, "%s has %d resource instances"))
	if len(c.finalizers) > 0 {
		set(corev1.NamespaceFinalizersRemaining, true, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+counted(c.finalizers, "%s in %d resource instances"))
	} else {
		set(corev1.NamespaceFinalizersRemaining, false, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
	}
	return status
}

func counted(n map[string]int, format string) string {
	var parts []string
	for k, v := range n {
		parts = append(parts, fmt.Sprintf(format, k, v))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
