package projections

import (
	"iter"
	"strings"

	"github.com/reckon-project/reckon/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// adoptable reports the resources whose objects the built-in controllers adopt:
// only their tables know which of their objects nobody controls.
func (r resource) adoptable() bool {
	switch r.resource {
	case "pods":
		return r.group == ""
	case "replicasets", "controllerrevisions":
		return r.group == "apps"
	}
	return false
}

// indexOrphan notes whether the object with a key has a controller, where that changed.
func (t *table) indexOrphan(key string, was, is bool) {
	switch {
	case is && !was:
		t.orphans.Insert(key)
	case was && !is:
		t.orphans.Delete(key)
	}
}

func controlled(owners []metav1.OwnerReference) bool {
	for i := range owners {
		if owners[i].Controller != nil && *owners[i].Controller {
			return true
		}
	}
	return false
}

// Orphans yields a resource's objects in a namespace that have no controller, in
// order of their names. Of pods, ReplicaSets and ControllerRevisions it looks at
// these only, of other resources at all objects in the namespace.
func (s *Snapshot) Orphans(group, res, namespace string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		r := resource{group, res}
		t := s.table(r)
		if t == nil {
			return
		}
		if !r.adoptable() {
			for o := range s.List(group, res, namespace) {
				if !controlled(o.Meta().GetOwnerReferences()) && !yield(o) {
					return
				}
			}
			return
		}
		prefix := namespace + "/"
		t.orphans.Ascend(prefix, func(key string) bool {
			if !strings.HasPrefix(key, prefix) {
				return false
			}
			o, ok := t.objects.Get(key)
			return !ok || yield(o)
		})
	}
}
