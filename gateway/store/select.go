package store

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// mayMatch is false for an object that a predicate surely refuses, as far as
// the stored form tells: most of what a selector drops needs no conversion.
func (s *Store) mayMatch(pred *storage.SelectionPredicate, o *events.Object) bool {
	if s.Sealer != nil { // what it hides isn't known
		return true
	}
	if pred.Label != nil && !pred.Label.Empty() && !pred.Label.Matches(labels.Set(o.Meta().GetLabels())) {
		return false
	}
	if pred.Field == nil || pred.Field.Empty() {
		return true
	}
	if name, ok := pred.Field.RequiresExactMatch("metadata.name"); ok && name != o.Key.Name {
		return false
	}
	if pod, ok := o.Value.(*corev1.Pod); ok {
		if node, ok := pred.Field.RequiresExactMatch("spec.nodeName"); ok && node != pod.Spec.NodeName {
			return false
		}
	}
	return true
}
