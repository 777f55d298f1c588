package projections

import (
	"iter"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/tidwall/btree"
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

// Chain is the running hash over all events folded, void ones included:
// whoever folded the same log to this position has the same.
func (s *Snapshot) Chain() events.Chain { return s.s.chain }

// Epoch is the sequence of a component's newest leadership, 0 if there was none.
func (s *Snapshot) Epoch(component string) uint64 { return s.s.epochs[component] }

// First is the sequence below which the log was trimmed, 0 if it never was.
func (s *Snapshot) First() uint64 { return s.s.first }

// Get gives an object, nil if there is none.
func (s *Snapshot) Get(k events.Key) *events.Object {
	return s.get(resource{k.Group, k.Resource}, keyOf(k))
}

func (s *Snapshot) get(r resource, key string) *events.Object {
	t := s.table(r)
	if t == nil {
		return nil
	}
	o, _ := t.objects.Get(key)
	return o
}

func (s *Snapshot) table(r resource) *table {
	if i, ok := s.s.slots[r]; ok {
		return s.s.tables[i]
	}
	return nil
}

// Decision is the sequence that the next decision about an object must expect.
// It is known for objects that are gone, too; 0 once the log is trimmed behind it.
func (s *Snapshot) Decision(k events.Key) uint64 {
	if o := s.s.lookup(k, keyOf(k)); o != nil && o.Decision >= s.s.first {
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
		t := s.table(resource{group, res})
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
	t := s.table(resource{group, res})
	if t == nil {
		return 0
	}
	return t.objects.Len()
}

// Resources yields the group and resource of every table that has objects, in
// a fixed order.
func (s *Snapshot) Resources() iter.Seq2[string, string] {
	return func(yield func(group, res string) bool) {
		for _, t := range s.s.sorted() {
			if t.objects.Len() > 0 && !yield(t.resource.group, t.resource.resource) {
				return
			}
		}
	}
}

// ByUID gives the object with a uid, nil if there is none.
func (s *Snapshot) ByUID(uid string) *events.Object {
	var found *events.Object
	prefix := uid + "\x00"
	s.s.uids.Ascend(prefix, func(entry string) bool {
		if named, ok := strings.CutPrefix(entry, prefix); ok {
			found = s.get(uidKeyed(named))
		}
		return false
	})
	return found
}

// OwnedBy yields a resource's objects with an owner reference to uid, in order
// of namespace and name.
func (s *Snapshot) OwnedBy(group, res, uid string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		if t := s.table(resource{group, res}); t != nil {
			t.indexed(&t.byOwner, uid, yield)
		}
	}
}

// PodsOn yields the pods bound to a node, in order of namespace and name.
func (s *Snapshot) PodsOn(node string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		if t := s.table(resource{"", "pods"}); t != nil {
			t.indexed(&t.byPlace, node, yield)
		}
	}
}

// indexed yields the objects that an index has under a value. Both are in the
// same order, and the objects of one value are often neighbours: the next one is
// looked for there first.
func (t *table) indexed(index *btree.Set[string], value string, yield func(*events.Object) bool) {
	prefix := value + "\x00"
	at, found := t.objects.Iter(), false
	index.Ascend(prefix, func(entry string) bool {
		key, ok := strings.CutPrefix(entry, prefix)
		if !ok {
			return false
		}
		if !found || !at.Next() || at.Key() != key {
			found = at.Seek(key) && at.Key() == key
		}
		return !found || yield(at.Value())
	})
}
