package projections

import (
	"iter"

	"github.com/reckon-project/reckon/events"
	"k8s.io/apimachinery/pkg/runtime"
)

// Get gives an object as its Go type; ok is false if there is none, or it is
// of another type.
func Get[T runtime.Object](s *Snapshot, k events.Key) (value T, ok bool) {
	o := s.Get(k)
	if o == nil {
		return value, false
	}
	value, ok = o.Value.(T)
	return value, ok
}

// List yields a resource's objects as their Go type.
func List[T runtime.Object](s *Snapshot, group, res, namespace string) iter.Seq[T] {
	return func(yield func(T) bool) {
		for o := range s.List(group, res, namespace) {
			if v, ok := o.Value.(T); ok && !yield(v) {
				return
			}
		}
	}
}
