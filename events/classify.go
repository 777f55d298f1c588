package events

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// restartedAt is what `kubectl rollout restart` sets on the pod template.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// Classify says which event an accepted API write is: its type, a CamelCase
// reason, and a short note for people ("replicas 2 → 5"). old is nil for a
// creation, new is nil for a removal; verb is the API's ("create", "update",
// "patch", "delete"), subresource is "" or "status", "scale", ….
// managedFields, resourceVersion and generation don't count as changes.
//
// RolledBack is not told from Updated here: only who asked for it knows.
func Classify(old, new runtime.Object, verb, subresource string) (typ, reason, note string) {
	switch {
	case new == nil:
		return Deleted, "Deleted", ""
	case old == nil:
		if _, ok := new.(*corev1.Node); ok {
			return Joined, "NodeJoined", clip(nodeNote(new))
		}
		return Created, "Created", ""
	}
	changes := changesBetween(old, new)
	note = clip(describe(changes))
	if was, is := deletion(old), deletion(new); was == nil && is != nil {
		return Deleting, "Deleting", clip(deletingNote(new))
	}
	typ = classifyKind(old, new, changes, subresource)
	switch typ {
	case Scaled:
		return typ, "Scaled", note
	case Paused:
		return typ, "Paused", note
	case Resumed:
		return typ, "Resumed", note
	case Restarted:
		return typ, "Restarted", "pods are replaced one by one"
	case Cordoned:
		if new.(*corev1.Node).Spec.Unschedulable {
			return typ, "Cordoned", "takes no new pods"
		}
		return typ, "Uncordoned", "takes new pods again"
	}
	if subresource != "" {
		return typ, "Updated" + strings.ToUpper(subresource[:1]) + subresource[1:], note
	}
	if verb == "patch" {
		return typ, "Patched", note
	}
	return typ, "Updated", note
}

// classifyKind gives the type of a change of an object that stays.
func classifyKind(old, new runtime.Object, changes []change, subresource string) string {
	if o, ok := old.(*corev1.Node); ok {
		if n, ok := new.(*corev1.Node); ok && o.Spec.Unschedulable != n.Spec.Unschedulable {
			return Cordoned
		}
	}
	if o, ok := old.(*appsv1.Deployment); ok {
		if n, ok := new.(*appsv1.Deployment); ok && o.Spec.Paused != n.Spec.Paused {
			if n.Spec.Paused {
				return Paused
			}
			return Resumed
		}
	}
	scaled, restarted := len(changes) > 0, len(changes) > 0
	for _, c := range changes {
		scaled = scaled && c.path == "spec.replicas"
		restarted = restarted && c.path == "spec.template.metadata.annotations."+restartedAt
	}
	switch {
	case restarted:
		return Restarted
	case scaled, subresource == "scale" && len(changes) > 0:
		return Scaled
	}
	return Updated
}

func deletion(obj runtime.Object) *metav1.Time {
	if m, ok := obj.(metav1.Object); ok {
		return m.GetDeletionTimestamp()
	}
	return nil
}

func deletingNote(obj runtime.Object) string {
	m := obj.(metav1.Object)
	var parts []string
	if s := m.GetDeletionGracePeriodSeconds(); s != nil && *s > 0 {
		parts = append(parts, "within "+show(*s)+" s")
	}
	if f := m.GetFinalizers(); len(f) > 0 {
		parts = append(parts, "waits for "+strings.Join(f, ", "))
	}
	return strings.Join(parts, "; ")
}

func nodeNote(obj runtime.Object) string {
	node := obj.(*corev1.Node)
	var parts []string
	for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		if q, ok := node.Status.Capacity[r]; ok {
			parts = append(parts, string(r)+" "+q.String())
		}
	}
	return strings.Join(parts, ", ")
}

// change is one difference between two versions, at a path of JSON names.
type change struct {
	path     string
	old, new any // nil: absent
}
