package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Verb says how an intent is carried out.
type Verb string

// Create, Update, Patch and Delete go through the API; Append goes to the log.
const (
	VerbCreate Verb = "create"
	VerbUpdate Verb = "update"
	VerbPatch  Verb = "patch"
	VerbDelete Verb = "delete"
	VerbAppend Verb = "append"
)

// Intent is one write that a reconcile wants. Make it with [Create], [Update],
// [Patch], [Delete] or [Append].
type Intent struct {
	Verb        Verb
	Key         events.Key // Name is "" for a create with generateName
	APIVersion  string     // "v1", "apps/v1"
	Subresource string
	Object      runtime.Object // create, update
	Data        []byte         // patch, append
	ContentType string         // patch, append
	Options     metav1.DeleteOptions
	UID         string // of the object that the intent is about; create: ""

	// Appends only.
	Type      string
	Expect    uint64
	IfVersion uint64

	// Reason and Note are for people: kubectl describe shows them. An API write
	// tells them of the object's controller ("Created pod: web-1" of the replica
	// set), an append of the object itself.
	Reason, Note string
	// Cause overrides what the runtime knows led to the reconcile.
	Cause []uint64

	err error // why it could not be made; fails the reconcile
}

// Because sets reason and note.
func (i Intent) Because(reason, format string, args ...any) Intent {
	i.Reason, i.Note = reason, fmt.Sprintf(format, args...)
	return i
}

// Create makes an object of the kind.
func Create(kind Kind, obj runtime.Object) Intent {
	m, ok := obj.(metav1.Object)
	if !ok {
		return Intent{err: fmt.Errorf("%w: create %T: no metadata", events.ErrInvalid, obj)}
	}
	return Intent{Verb: VerbCreate, Key: kind.Key(m.GetNamespace(), m.GetName()), APIVersion: kind.APIVersion(), Object: obj}
}

// Update replaces an object; it fails with a conflict if it changed since old.
func Update(old *events.Object, obj runtime.Object) Intent {
	obj = obj.DeepCopyObject()
	obj.(metav1.Object).SetResourceVersion(old.Meta().GetResourceVersion())
	return Intent{Verb: VerbUpdate, Key: old.Key, APIVersion: apiVersion(old), Object: obj, UID: string(old.Meta().GetUID())}
}

// Patch changes what differs between old and obj, whatever else was changed
// meanwhile, as long as it is still the same object (uid).
func Patch(old *events.Object, obj runtime.Object) Intent {
	i := Intent{Verb: VerbPatch, Key: old.Key, APIVersion: apiVersion(old), UID: string(old.Meta().GetUID())}
	i.Data, i.ContentType, i.err = events.Diff(old.Value, obj)
	if i.ContentType == events.ContentObject {
		return Update(old, obj)
	}
	return i
}

// MergePatch is Patch with the RFC 7386 patch itself.
func MergePatch(old *events.Object, patch []byte) Intent {
	return Intent{Verb: VerbPatch, Key: old.Key, APIVersion: apiVersion(old), UID: string(old.Meta().GetUID()), Data: patch, ContentType: events.ContentPatch}
}

// Delete deletes the object if it is still the same one. Options may be
// changed afterwards; the uid precondition is set.
func Delete(old *events.Object) Intent {
	uid := old.Meta().GetUID()
	return Intent{
		Verb: VerbDelete, Key: old.Key, APIVersion: apiVersion(old), UID: string(uid),
		Options: metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
	}
}

// Append is a decision about an object that the controller takes itself: an
// event of a type that it declared, with the patch from old to obj. If the
// object has changed since old, it has no effect and the key is reconciled again.
func Append(eventType string, old *events.Object, obj runtime.Object) Intent {
	i := Intent{Verb: VerbAppend, Key: old.Key, Type: eventType, Expect: old.Decision, IfVersion: old.Version, UID: string(old.Meta().GetUID())}
	i.Data, i.ContentType, i.err = events.Diff(old.Value, obj)
	return i
}

// Progressed is Append of the new status of a workload.
func Progressed(old *events.Object, obj runtime.Object) Intent {
	return Append(events.Progressed, old, obj)
}

// Reported is a fact about the status of an object: the report of a custom
// controller, which takes no decisions but through the API. It says what
// differs between old and obj, which must be in status. Declare events.Reported
// with [Controller.Writes].
func Reported(old *events.Object, obj runtime.Object) Intent {
	i := Append(events.Reported, old, obj)
	i.Expect, i.IfVersion = 0, 0
	if i.err == nil && i.ContentType != events.ContentPatch {
		i.err = fmt.Errorf("%w: report on %s: a patch of its status can't say it", events.ErrInvalid, old.Key)
	}
	return i
}

func apiVersion(o *events.Object) string {
	v, _ := o.Value.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return v
}
