package projections

import (
	"iter"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Snapshot is the state at one position. It is immutable and safe for any
// number of readers. Objects read from it must not be modified.
type Snapshot struct{ s *state }

// Position is the sequence of the last event folded.
func (s *Snapshot) Position() uint64 { return s.s.position }

// Time is the ce-time of that event.
func (s *Snapshot) Time() time.Time { return s.s.time }

// Voids counts the void events folded so far.
func (s *Snapshot) Voids() uint64 { return s.s.voids }

// Epoch is the sequence of a component's newest leadership, 0 if there was none.
func (s *Snapshot) Epoch(component string) uint64 { return s.s.epochs[component] }

// Get gives an object, nil if there is none.
func (s *Snapshot) Get(k events.Key) *events.Object {
	t := s.s.tables[resource{k.Group, k.Resource}]
	if t == nil {
		return nil
	}
	o, _ := t.objects.Get(keyOf(k))
	return o
}

// Decision is the sequence that the next decision about an object must expect.
// It is known for objects that are gone, too.
func (s *Snapshot) Decision(k events.Key) uint64 {
	t := s.s.tables[resource{k.Group, k.Resource}]
	if t == nil {
		return 0
	}
	if o := t.lookup(k); o != nil {
		return o.Decision
	}
	return 0
}

// List yields the objects of a resource in order of namespace and name;
// namespace "" means all.
func (s *Snapshot) List(group, res, namespace string) iter.Seq[*events.Object] {
	return s.ListFrom(group, res, namespace, "")
}

// ListFrom is List beginning at the table key ("namespace/name", as Continue
// gives it) start.
func (s *Snapshot) ListFrom(group, res, namespace, start string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		t := s.s.tables[resource{group, res}]
		if t == nil {
			return
		}
		prefix := ""
		if namespace != "" {
			prefix = namespace + "/"
		}
		t.objects.Ascend(max(prefix, start), func(k string, o *events.Object) bool {
			return strings.HasPrefix(k, prefix) && yield(o)
		})
	}
}

// Len is the number of a resource's objects in all namespaces.
func (s *Snapshot) Len(group, res string) int {
	t := s.s.tables[resource{group, res}]
	if t == nil {
		return 0
	}
	return t.objects.Len()
}

// Resources yields the group and resource of every table that has objects, in
// a fixed order.
func (s *Snapshot) Resources() iter.Seq2[string, string] {
	return func(yield func(group, res string) bool) {
		for _, r := range s.s.sortedTables() {
			if s.s.tables[r].objects.Len() > 0 && !yield(r.group, r.resource) {
				return
			}
		}
	}
}

// ByUID gives the object with a uid, nil if there is none.
func (s *Snapshot) ByUID(uid string) *events.Object {
	k, ok := s.s.byUID.Get(uid)
	if !ok {
		return nil
	}
	return s.Get(k)
}

// OwnedBy yields a resource's objects with an owner reference to uid.
func (s *Snapshot) OwnedBy(group, res, uid string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		t := s.s.tables[resource{group, res}]
		if t == nil {
			return
		}
		prefix := uid + "\x00"
		t.byOwner.Ascend(prefix, func(k string, o *events.Object) bool {
			return strings.HasPrefix(k, prefix) && yield(o)
		})
	}
}

// PodsOn yields the pods bound to a node.
func (s *Snapshot) PodsOn(node string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		t := s.s.tables[resource{"", "pods"}]
		if t == nil {
			return
		}
		prefix := node + "\x00"
		t.byNode.Ascend(prefix, func(k string, o *events.Object) bool {
			return strings.HasPrefix(k, prefix) && yield(o)
		})
	}
}
