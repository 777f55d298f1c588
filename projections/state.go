package projections

import (
	"cmp"
	"slices"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/tidwall/btree"
	corev1 "k8s.io/api/core/v1"
)

// state is the fold of a log up to position. Copying it is O(tables).
type state struct {
	position uint64
	time     time.Time // ce-time of the last event folded
	voids    uint64
	epochs   map[string]uint64 // by component: the sequence of its newest leadership; copied on write
	tables   map[resource]*table
	byUID    btree.Map[string, events.Key]
}

type resource struct{ group, resource string }

// table holds one resource's objects. The maps are copy-on-write B-trees.
type table struct {
	objects btree.Map[string, *events.Object]
	tombs   btree.Map[string, *events.Object] // deleted, or only void events so far
	byOwner btree.Map[string, *events.Object]
	byNode  btree.Map[string, *events.Object] // pods only
}

func newState() *state {
	return &state{tables: map[resource]*table{}, epochs: map[string]uint64{}}
}

// Change is one event and what it did. Old and New are nil where there was, or
// is, no object. Void is set (and Old == New) when the event had no effect.
type Change struct {
	Event *events.Event
	Old   *events.Object
	New   *events.Object
	Void  error
}

// apply folds one event.
func (s *state) apply(e *events.Event) Change {
	s.position, s.time = e.Sequence, e.Time
	if e.Type == events.Elected {
		epochs := make(map[string]uint64, len(s.epochs)+1)
		for k, v := range s.epochs {
			epochs[k] = v
		}
		epochs[e.Component] = e.Sequence
		s.epochs = epochs
		t := s.table(e.Key)
		t.tombs.Set(keyOf(e.Key), events.Skip(t.lookup(e.Key), e))
		return Change{Event: e}
	}
	t := s.table(e.Key)
	old := t.lookup(e.Key)
	var next *events.Object
	var err error
	if current := s.epochs[e.Component]; e.Epoch != 0 && e.Epoch < current {
		next, err = events.Skip(old, e), events.Fenced(e, current)
	} else {
		next, err = events.Fold(old, e)
	}
	if next != old {
		s.store(t, old, next)
	}
	c := Change{Event: e, Void: err}
	if old.Exists() {
		c.Old = old
	}
	if next.Exists() {
		c.New = next
	}
	if err != nil {
		s.voids++
	}
	return c
}

func (s *state) table(k events.Key) *table {
	r := resource{k.Group, k.Resource}
	t := s.tables[r]
	if t == nil {
		t = &table{}
		s.tables[r] = t
	}
	return t
}

// keyOf is an object's key in its table: tables are ordered by namespace, then
// name, as lists of the Kubernetes API are.
func keyOf(k events.Key) string { return k.Namespace + "/" + k.Name }

// indexKey is the key in an index by value of the object with a table key.
func indexKey(value, key string) string { return value + "\x00" + key }

func (t *table) lookup(k events.Key) *events.Object {
	if o, ok := t.objects.Get(keyOf(k)); ok {
		return o
	}
	o, _ := t.tombs.Get(keyOf(k))
	return o
}

// store replaces old by next in the table and its indexes.
func (s *state) store(t *table, old, next *events.Object) {
	key := keyOf(next.Key)
	if old.Exists() {
		s.unindex(t, old, next)
	} else if old != nil && next.Exists() {
		t.tombs.Delete(key)
	}
	if !next.Exists() {
		if old.Exists() {
			t.objects.Delete(key)
		}
		t.tombs.Set(key, next)
		return
	}
	t.objects.Set(key, next)
	m := next.Meta()
	if !old.Exists() {
		s.byUID.Set(string(m.GetUID()), next.Key)
	}
	for _, owner := range m.GetOwnerReferences() {
		t.byOwner.Set(indexKey(string(owner.UID), key), next)
	}
	if node := nodeOf(next); node != "" {
		t.byNode.Set(indexKey(node, key), next)
	}
}

// unindex removes the entries of old that next won't overwrite.
func (s *state) unindex(t *table, old, next *events.Object) {
	key, m := keyOf(old.Key), old.Meta()
	if !next.Exists() || next.Meta().GetUID() != m.GetUID() {
		s.byUID.Delete(string(m.GetUID()))
	}
	for _, owner := range m.GetOwnerReferences() {
		if !next.Exists() || !slices.Contains(ownerUIDs(next), string(owner.UID)) {
			t.byOwner.Delete(indexKey(string(owner.UID), key))
		}
	}
	if node := nodeOf(old); node != "" && nodeOf(next) != node {
		t.byNode.Delete(indexKey(node, key))
	}
}

func ownerUIDs(o *events.Object) []string {
	refs := o.Meta().GetOwnerReferences()
	uids := make([]string, len(refs))
	for i := range refs {
		uids[i] = string(refs[i].UID)
	}
	return uids
}

// nodeOf is the node a pod is bound to.
func nodeOf(o *events.Object) string {
	if !o.Exists() {
		return ""
	}
	if pod, ok := o.Value.(*corev1.Pod); ok {
		return pod.Spec.NodeName
	}
	return ""
}

// copy gives an independent state; both may go on being folded.
func (s *state) copy() *state {
	c := *s
	c.byUID = *s.byUID.Copy()
	c.tables = make(map[resource]*table, len(s.tables))
	for r, t := range s.tables {
		c.tables[r] = t.copy()
	}
	return &c
}

func (t *table) copy() *table {
	return &table{objects: *t.objects.Copy(), tombs: *t.tombs.Copy(), byOwner: *t.byOwner.Copy(), byNode: *t.byNode.Copy()}
}

// sortedTables gives the resources in a fixed order.
func (s *state) sortedTables() []resource {
	out := make([]resource, 0, len(s.tables))
	for r := range s.tables {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b resource) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource))
	})
	return out
}
