package history

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Undo is a plan to bring an earlier version of an object back.
type Undo struct {
	Object Ref `json:"object"`
	// To is the step whose version comes back.
	To uint64 `json:"to"`
	// Undoes is the newest step that is undone by it.
	Undoes uint64 `json:"undoes"`
	// Version is what the object is at: what doing it is to name as resourceVersion.
	Version string `json:"version"`
	// Gone: it was deleted, and will be created again.
	Gone   bool    `json:"gone,omitempty"`
	Fields []Field `json:"fields,omitempty"` // what will change, of an object that is there
	Words  string  `json:"words"`            // the version in a few words

	earlier, present *events.Object
	changed          uint64 // the newest step that changed more than status
}

// PlanUndo plans to bring back the version at a position; 0 means the one before
// the last change that somebody outside asked for. There is nothing to bring
// back (an error of class events.ErrInvalid) when that change was the creation,
// or the version wants the same as the present one.
func (l *Life) PlanUndo(to uint64) (*Undo, error) {
	last := l.At(l.Ends)
	if last == nil {
		return nil, fmt.Errorf("undo %s: no event of it had an effect: %w", l.Object.Key(), events.ErrInvalid)
	}
	target, undoes, err := l.undoTarget(to, last)
	if err != nil {
		return nil, err
	}
	u := &Undo{Object: l.Object, To: target.Sequence, Undoes: undoes.Sequence, Words: undoWords(target), earlier: target.after, present: last.after}
	for i := range l.Steps {
		if s := &l.Steps[i]; s.Void == "" && (intends(s) || !s.before.Exists() || !s.after.Exists() || s.Type == events.Deleting) {
			u.changed = s.Sequence
		}
	}
	if !last.after.Exists() {
		u.Version = number(last.Sequence)
		u.Gone = true
		return u, nil
	}
	u.Version = last.after.Meta().GetResourceVersion()
	next := u.Value(last.after.Value, target.after.Value, nil)
	if u.Fields, err = Fields(l.Object.Key(), last.after.Value, next); err != nil {
		return nil, err
	}
	u.Fields = telling(u.Fields)
	if len(u.Fields) == 0 {
		return nil, fmt.Errorf("undo %s: the version at %d wants the same as the present one: %w", l.Object.Key(), target.Sequence, events.ErrInvalid)
	}
	return u, nil
}

func undoWords(s *Step) string {
	return Summary(s.after.Value)
}

// undoTarget finds the step whose version comes back, and the newest undone by it.
func (l *Life) undoTarget(to uint64, last *Step) (target, undoes *Step, err error) {
	if to != 0 {
		target = l.At(to)
		switch {
		case target == nil:
			return nil, nil, fmt.Errorf("undo %s: the history, which begins at %d, has no version of it at %d: %w", l.Object.Key(), l.Begins, to, events.ErrInvalid)
		case !target.after.Exists():
			return nil, nil, fmt.Errorf("undo %s: at %d it was deleted: %w", l.Object.Key(), to, events.ErrInvalid)
		}
		for i := range l.Steps {
			if s := &l.Steps[i]; s.Sequence > target.Sequence && s.Void == "" && (s.ByUser() || undoes == nil) {
				undoes = s
			}
		}
		if undoes == nil {
			return nil, nil, fmt.Errorf("undo %s: the version at %d is the present one: %w", l.Object.Key(), to, events.ErrInvalid)
		}
		return target, undoes, nil
	}
	for i := len(l.Steps) - 1; i >= 0; i-- {
		s := &l.Steps[i]
		asked := intends(s) || !s.after.Exists() || s.Type == events.Deleting || !s.before.Exists()
		if s.Void != "" || !s.ByUser() || !asked {
			continue
		}
		if !last.after.Exists() && s.after.Exists() && s.Type != events.Deleting {
			break // it was deleted since, by a component
		}
		if !s.before.Exists() {
			return nil, nil, fmt.Errorf("undo %s: the last change that somebody made (#%d, %s) created it: delete it to undo that: %w", l.Object.Key(), s.Sequence, s.By, events.ErrInvalid)
		}
		if t := l.At(s.Sequence - 1); t != nil && t.after.Exists() {
			return t, s, nil
		}
		return nil, nil, fmt.Errorf("undo %s: the version before #%d is older than the history that is kept: %w", l.Object.Key(), s.Sequence, events.ErrGone)
	}
	if !last.after.Exists() { // deleted by a component
		if t := l.At(last.Sequence - 1); t != nil && t.after.Exists() {
			return t, last, nil
		}
	}
	return nil, nil, fmt.Errorf("undo %s: nobody outside changed it in the history, which begins at %d: %w", l.Object.Key(), l.Begins, events.ErrInvalid)
}

// ChangedSince is the newest event after a version that changed more of the
// object than its status, 0 if there is none.
func (u *Undo) ChangedSince(version uint64) uint64 {
	if u.changed > version {
		return u.changed
	}
	return 0
}

// Earlier is the version that comes back.
func (u *Undo) Earlier() *events.Object { return u.earlier }

// Present is the object as it was when the plan was made, nil if it is gone.
func (u *Undo) Present() *events.Object { return u.present }

// Value is present with what people want of it as in earlier: all but status,
// and of the metadata labels, annotations and finalizers. For a present of nil it
// is a new object that wants what earlier did. owned says which owners of a new
// object still exist. Neither argument is changed.
func (u *Undo) Value(present, earlier runtime.Object, owned func(metav1.OwnerReference) bool) runtime.Object {
	next := earlier.DeepCopyObject()
	m, was := next.(metav1.Object), earlier.(metav1.Object)
	if present == nil {
		fresh := metav1.ObjectMeta{
			Name: was.GetName(), Namespace: was.GetNamespace(),
			Labels: was.GetLabels(), Annotations: kept(was.GetAnnotations(), nil),
		}
		setMetadata(next, fresh)
		if owned != nil {
			var refs []metav1.OwnerReference
			for _, r := range was.GetOwnerReferences() {
				if owned(r) {
					refs = append(refs, r)
				}
			}
			m.SetOwnerReferences(refs)
		}
		setStatus(next, nil)
		if pod, ok := next.(*corev1.Pod); ok {
			pod.Spec.NodeName = "" // the scheduler decides again
		}
		return next
	}
	is := present.(metav1.Object)
	meta := metav1.ObjectMeta{
		Name: is.GetName(), Namespace: is.GetNamespace(), UID: is.GetUID(), ResourceVersion: is.GetResourceVersion(),
		Generation: is.GetGeneration(), CreationTimestamp: is.GetCreationTimestamp(), OwnerReferences: is.GetOwnerReferences(),
		DeletionTimestamp: is.GetDeletionTimestamp(), DeletionGracePeriodSeconds: is.GetDeletionGracePeriodSeconds(),
		Labels: was.GetLabels(), Annotations: kept(was.GetAnnotations(), is.GetAnnotations()), Finalizers: was.GetFinalizers(),
	}
	setMetadata(next, meta)
	setStatus(next, present)
	return next
}

// kept are the annotations of an earlier version with those that controllers
// keep as they are now.
func kept(earlier, present map[string]string) map[string]string {
	out := maps.Clone(earlier)
	maps.DeleteFunc(out, func(k, _ string) bool { return serverSet(k) })
	for k, v := range present {
		if serverSet(k) {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func serverSet(annotation string) bool {
	return strings.HasPrefix(annotation, "deployment.kubernetes.io/") || strings.HasPrefix(annotation, "pv.kubernetes.io/bind-completed") ||
		strings.HasPrefix(annotation, "pv.kubernetes.io/bound-by-controller")
}

func setMetadata(o runtime.Object, m metav1.ObjectMeta) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		if metadata, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&m); err == nil {
			if m.CreationTimestamp.IsZero() {
				delete(metadata, "creationTimestamp")
			}
			u.Object["metadata"] = metadata
		}
		return
	}
	*o.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta) = m
}

// setStatus gives an object the status of another one, or none.
func setStatus(o, from runtime.Object) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		delete(u.Object, "status")
		if f, ok := from.(*unstructured.Unstructured); ok && f.Object["status"] != nil {
			u.Object["status"] = runtime.DeepCopyJSONValue(f.Object["status"])
		}
		return
	}
	status := reflect.ValueOf(o).Elem().FieldByName("Status")
	if !status.IsValid() {
		return
	}
	status.SetZero()
	if from != nil && reflect.TypeOf(from) == reflect.TypeOf(o) {
		status.Set(reflect.ValueOf(from.DeepCopyObject()).Elem().FieldByName("Status"))
	}
}
