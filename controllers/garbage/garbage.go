package garbage

import (
	"context"
	"slices"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("generic-garbage-collector").
		Watches("*", "*", (&watch{}).changed).
		Reconcile(reconcile)
}

// watch remembers the last owner that kept its dependent: those of one owner
// often come in a row.
type watch struct{ kept atomic.Pointer[keeping] }

type keeping struct {
	position                         uint64
	namespace, apiVersion, kind, uid string
}

// keeps reports that the owner stays whom r, of a namespaced object, refers to.
func (w *watch) keeps(s *projections.Snapshot, dependent *events.Object, r metav1.OwnerReference) bool {
	k := keeping{s.Position(), dependent.Key.Namespace, r.APIVersion, r.Kind, string(r.UID)}
	if last := w.kept.Load(); last != nil && *last == k && k.namespace != "" {
		return true
	}
	if ownerOf(s, dependent, r) != stays {
		return false
	}
	w.kept.Store(&k)
	return true
}

// changed maps a change to what may have become garbage, or may go now.
func (w *watch) changed(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.New != nil {
		m := c.New.Meta()
		if m.GetDeletionTimestamp() != nil && (has(m, metav1.FinalizerOrphanDependents) || has(m, metav1.FinalizerDeleteDependents)) {
			add(c.New.Key)
		}
		if slices.ContainsFunc(controllers.OwnersOf(m), func(r metav1.OwnerReference) bool { return !w.keeps(s, c.New, r) }) {
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
	for _, r := range controllers.OwnersOf(c.Old.Meta()) {
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
	if dependent.Key.Namespace == "" && namespaced(s, r) {
		return stays // nothing tells its namespace
	}
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
		return []controllers.Intent{elsewhere(s, o, withoutOwners(o, func(r metav1.OwnerReference) bool { return ownerOf(s, o, r) != stays }))}
	}
	policy := metav1.DeletePropagationBackground
	switch m := o.Meta(); {
	case has(m, metav1.FinalizerOrphanDependents):
		policy = metav1.DeletePropagationOrphan
	case waiting > 0 && inCircle(s, o) && blocks(m):
		return []controllers.Intent{unblocking(o)}
	case has(m, metav1.FinalizerDeleteDependents), waiting > 0 && owns(s, o):
		policy = metav1.DeletePropagationForeground
	}
	i := elsewhere(s, o, controllers.Delete(o))
	i.Options.PropagationPolicy = &policy
	seen := o.Meta().GetResourceVersion()
	i.Options.Preconditions.ResourceVersion = &seen
	return []controllers.Intent{i}
}

// elsewhere says so if an owner is in another namespace.
func elsewhere(s *projections.Snapshot, o *events.Object, i controllers.Intent) controllers.Intent {
	for _, r := range o.Meta().GetOwnerReferences() {
		if owner := s.ByUID(string(r.UID)); o.Key.Namespace != "" && owner.Exists() && owner.Key.Namespace != "" && owner.Key.Namespace != o.Key.Namespace {
			return i.Because("OwnerRefInvalidNamespace", "ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
				r.APIVersion, r.Kind, o.Key.Namespace, r.Name, r.UID, o.Key.Namespace)
		}
	}
	return i
}

// inCircle reports an object with a dependent that itself waits for its dependents:
// the two may wait for each other.
func inCircle(s *projections.Snapshot, o *events.Object) bool {
	for d := range dependents(s, o) {
		if m := d.Meta(); m.GetDeletionTimestamp() != nil && has(m, metav1.FinalizerDeleteDependents) {
			return true
		}
	}
	return false
}

func blocks(m metav1.Object) bool {
	return slices.ContainsFunc(m.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion })
}

// unblocking lets o's owners go before o.
func unblocking(o *events.Object) controllers.Intent {
	return changedCopy(o, func(m metav1.Object) {
		refs, no := slices.Clone(m.GetOwnerReferences()), false
		for i := range refs {
			refs[i].BlockOwnerDeletion = &no
		}
		m.SetOwnerReferences(refs)
	})
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
