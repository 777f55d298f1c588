package store

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// updateType names what an update did.
func updateType(old, value runtime.Object) string {
	o, n := old.(metav1.Object), value.(metav1.Object)
	if o.GetDeletionTimestamp() == nil && n.GetDeletionTimestamp() != nil {
		return events.Deleting
	}
	return events.Updated
}
