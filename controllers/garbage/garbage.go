package garbage

import (
	"context"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("generic-garbage-collector").
		Watches("*", "*", changed).
		Reconcile(reconcile)
}

// changed maps a change to what may have become garbage, or may go now.
func changed(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.New != nil {
		m := c.New.Meta()
		if m.GetDeletionTimestamp() != nil && (has(m, metav1.FinalizerOrphanDependents) || has(m, metav1.FinalizerDeleteDependents)) {
			add(c.New.Key)
		}
		if slices.ContainsFunc(m.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return ownerOf(s, c.New, r) != stays }) {
			add(c.New.Key)
		}
	}
	if c.Old == nil {
		return
	}
	if c.New == nil || c.New.Meta().GetUID() != c.Old.Meta().GetUID() {
		for d := range dependents(s, c.Old) {
			add(d.Key)
		}
	}
	for _, r := range c.Old.Meta().GetOwnerReferences() {
		if o := s.ByUID(string(r.UID)); o.Exists() && o.Meta().GetDeletionTimestamp() != nil && len(o.Meta().GetFinalizers()) > 0 {
			add(o.Key) // it may have waited for this one
		}
	}
}

// What an owner reference refers to.
type owner int

const (
	gone  owner = iota
	waits       // being deleted, after its dependents
	stays
)

func ownerOf(s *projections.Snapshot, dependent *events.Object, r metav1.OwnerReference) owner {
	o := s.ByUID(string(r.UID))
	if !o.Exists() {
		if !logged(s, r) {
			return stays
		}
		return gone
	}
	if o.Key.Namespace != "" && o.Key.Namespace != dependent.Key.Namespace {
		return gone
	}
	if m := o.Meta(); m.GetDeletionTimestamp() != nil && has(m, metav1.FinalizerDeleteDependents) {
		return waits
	}
	return stays
}

// logged reports a kind whose objects are in the log. Of others (aggregated APIs,
// Leases and Events, custom kinds whose definition is gone) nothing is known.
func logged(s *projections.Snapshot, r metav1.OwnerReference) bool {
	gk := schema.GroupKind{Group: controllers.GroupOf(r.APIVersion), Kind: r.Kind}
	if gk.Kind == "Lease" || gk.Kind == "Event" {
		return false
	}
	if len(events.Scheme.VersionsForGroupKind(gk)) > 0 {
		return true
	}
	for crd := range projections.List[*apiextensionsv1.CustomResourceDefinition](s, "apiextensions.k8s.io", "customresourcedefinitions", "") {
		if crd.Spec.Group == gk.Group && crd.Spec.Names.Kind == gk.Kind {
			return true
		}
	}
	return false
}

func has(m metav1.Object, finalizer string) bool {
	return slices.Contains(m.GetFinalizers(), finalizer)
}

// dependents yields the objects that name o as an owner.
func dependents(s *projections.Snapshot, o *events.Object) func(func(*events.Object) bool) {
	return func(yield func(*events.Object) bool) {
		uid := string(o.Meta().GetUID())
		for group, resource := range s.Resources() {
			for d := range s.OwnedBy(group, resource, uid) {
				if (o.Key.Namespace == "" || o.Key.Namespace == d.Key.Namespace) && !yield(d) {
					return
				}
			}
		}
	}
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	m := o.Meta()
	if m.GetDeletionTimestamp() != nil {
		switch {
		case has(m, metav1.FinalizerOrphanDependents):
			return controllers.Do(orphan(s, o)...), nil
		case has(m, metav1.FinalizerDeleteDependents):
			return controllers.Do(foreground(s, o)...), nil
		}
		return controllers.Result{}, nil
	}
	return controllers.Do(collect(s, o)...), nil
}

// orphan takes the references to o away, then its finalizer.
func orphan(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	var intents []controllers.Intent
	for d := range dependents(s, o) {
		intents = append(intents, withoutOwners(d, func(r metav1.OwnerReference) bool { return r.UID == o.Meta().GetUID() }))
	}
	if len(intents) > 0 {
		return intents
	}
	return []controllers.Intent{withoutFinalizer(o, metav1.FinalizerOrphanDependents)}
}

// foreground deletes o's dependents; when none blocks it, o goes.
func foreground(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	var intents []controllers.Intent
	blocked := false
	for d := range dependents(s, o) {
		for _, r := range d.Meta().GetOwnerReferences() {
			if r.UID == o.Meta().GetUID() && r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion {
				blocked = true
			}
		}
		if d.Meta().GetDeletionTimestamp() == nil {
			intents = append(intents, collect(s, d)...)
		}
	}
	if blocked {
		return intents
	}
	return append(intents, withoutFinalizer(o, metav1.FinalizerDeleteDependents))
}

// collect deletes an object that no owner keeps.
func collect(s *projections.Snapshot, o *events.Object) []controllers.Intent {
	var kept, lost, waiting int
	for _, r := range o.Meta().GetOwnerReferences() {
		switch ownerOf(s, o, r) {
		case stays:
			kept++
		case gone:
			lost++
		case waits:
			waiting++
		}
	}
	switch {
	case lost+waiting == 0:
		return nil
	case kept > 0:
		return []controllers.Intent{withoutOwners(o, func(r metav1.OwnerReference) bool { return ownerOf(s, o, r) != stays })}
	}
	policy := metav1.DeletePropagationBackground
	switch m := o.Meta(); {
	case has(m, metav1.FinalizerOrphanDependents):
		policy = metav1.DeletePropagationOrphan
	case has(m, metav1.FinalizerDeleteDependents), waiting > 0 && owns(s, o):
		policy = metav1.DeletePropagationForeground
	}
	i := controllers.Delete(o)
	i.Options.PropagationPolicy = &policy
	seen := o.Meta().GetResourceVersion()
	i.Options.Preconditions.ResourceVersion = &seen
	return []controllers.Intent{i}
}

func owns(s *projections.Snapshot, o *events.Object) bool {
	for range dependents(s, o) {
		return true
	}
	return false
}

func withoutOwners(o *events.Object, drop func(metav1.OwnerReference) bool) controllers.Intent {
	return changedCopy(o, func(m metav1.Object) {
		m.SetOwnerReferences(slices.DeleteFunc(slices.Clone(m.GetOwnerReferences()), drop))
	})
}

func withoutFinalizer(o *events.Object, finalizer string) controllers.Intent {
	return changedCopy(o, func(m metav1.Object) {
		m.SetFinalizers(slices.DeleteFunc(slices.Clone(m.GetFinalizers()), func(f string) bool { return f == finalizer }))
	})
}

// changedCopy is a merge patch of metadata only, so that it works for every kind.
func changedCopy(o *events.Object, f func(metav1.Object)) controllers.Intent {
	value := o.Value.DeepCopyObject().(interface {
		runtime.Object
		metav1.Object
	})
	f(value)
	return controllers.Patch(o, value)
}
