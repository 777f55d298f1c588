package projections

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/tidwall/btree"
)

// state is the fold of a log up to position. The folding goroutine owns one and
// changes it; what readers see are frozen copies of it, which share everything
// that didn't change since the last one.
type state struct {
	position uint64
	last     string    // ce-id of the last event folded: tells one log from another
	time     time.Time // ce-time of that event
	voids    uint64
	chain    events.Chain      // over every event after chained
	chained  uint64            // 0, but where the fold began with a checkpoint without a chain
	first    uint64            // the log was trimmed below it: no subject's last sequence is older
	epochs   map[string]uint64 // by component: the sequence of its newest leadership; copied on write

	slots  map[resource]int // where a resource's table is; copied on write
	tables []*table
	uids   btree.Set[string] // of uidKey
	plain  bool              // has no indexes: for who asks for objects by their keys only

	frozen    []*table // the tables as last published
	dirty     []int    // slots of the tables that changed since
	uidsDirty bool
	present   *Snapshot         // of the same log, to share objects with; nil: none
	uidsAs    btree.Set[string] // uids as last published
}

type resource struct{ group, resource string }

func newState() *state {
	return &state{slots: map[resource]int{}, epochs: map[string]uint64{}}
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
	s.chain = s.chain.Next(e.Digest())
	return s.applyUnchained(e)
}

// applyUnchained is apply for who keeps the chain himself.
func (s *state) applyUnchained(e *events.Event) Change {
	s.position, s.time, s.last = e.Sequence, e.Time, e.ID
	if strings.IndexByte(e.Key.Namespace, '/') >= 0 { // it could pass for another object's table key
		s.voids++
		return Change{Event: e, Void: &events.Void{Why: "the namespace holds a slash"}}
	}
	key := keyOf(e.Key)
	old := s.lookup(e.Key, key)
	next, err := s.next(old, e)
	if s.present != nil && next != old {
		next = s.shared(next, key)
	}
	if next != old && (next.Exists() || next.Decision >= max(s.first, 1)) {
		s.store(key, old, next, e.Prefix == events.PrefixFact)
	}
	c := Change{Event: e, Void: err}
	if next.Exists() {
		c.New = next
	}
	switch {
	case err != nil:
		s.voids++
		c.Old = c.New
	case old.Exists():
		c.Old = old
	}
	return c
}

// shared is the present's object if it is the same: what a state of the past
// has in common with the present is in memory once.
func (s *state) shared(o *events.Object, key string) *events.Object {
	if !o.Exists() {
		return o
	}
	have := s.present.get(resource{o.Key.Group, o.Key.Resource}, key)
	if have == nil || have.Version != o.Version || have.Decision != o.Decision {
		return o
	}
	return have
}

// next is what an event makes of an object.
func (s *state) next(old *events.Object, e *events.Event) (*events.Object, error) {
	switch e.Type {
	case events.Elected, events.Trimmed, events.Opened:
		return events.Skip(old, e), s.control(e)
	}
	if current := s.epochs[e.Component]; e.Epoch != 0 && e.Epoch < current {
		return events.Skip(old, e), events.Fenced(e, current)
	}
	if e.Prefix == events.PrefixVolatile {
		if e.Type == events.Deleted && !old.Exists() {
			return events.Skip(old, e), nil // what it deleted is no longer in the log
		}
		e = asLastValue(e)
	}
	return events.Fold(old, e)
}

// asLastValue is an event of VOLATILE as its fold may see it. That stream keeps
// each subject's last event only, so whether there was an object before, and at
// which version, is not known to a fold that begins later: it must not matter.
func asLastValue(e *events.Event) *events.Event {
	if e.ContentType != events.ContentObject || (e.Type != events.Created && e.IfVersion == 0) {
		return e
	}
	c := *e
	c.Type, c.IfVersion = events.Updated, 0
	return &c
}

func (s *state) lookup(k events.Key, key string) *events.Object {
	i, ok := s.slots[resource{k.Group, k.Resource}]
	if !ok {
		return nil
	}
	return s.tables[i].lookup(key)
}

// table gives the resource's table to write to.
func (s *state) table(r resource) *table {
	i, ok := s.slots[r]
	if !ok {
		slots := make(map[resource]int, len(s.slots)+1)
		for r, i := range s.slots {
			slots[r] = i
		}
		i = len(s.tables)
		slots[r] = i
		s.slots = slots
		s.tables = append(s.tables, &table{resource: r})
		s.frozen = append(slices.Clip(s.frozen), &table{resource: r})
	}
	t := s.tables[i]
	if !t.dirty {
		t.dirty = true
		s.dirty = append(s.dirty, i)
	}
	return t
}

// store replaces old by next in the table and the indexes. A fact changes
// nothing that is indexed.
func (s *state) store(key string, old, next *events.Object, fact bool) {
	t := s.table(resource{next.Key.Group, next.Key.Resource})
	switch {
	case next.Exists():
		if old != nil && !old.Exists() {
			t.tombs.Delete(key)
		}
		t.objects.Set(key, next)
	case old.Exists():
		t.objects.Delete(key)
		t.tombs.Set(key, next)
	default:
		t.tombs.Set(key, next)
	}
	if !fact && !s.plain {
		s.index(t, key, old, next)
	}
}

// freeze gives an immutable copy for readers. It costs by the tables that
// changed since the last one.
func (s *state) freeze() *state {
	if len(s.dirty) > 0 {
		s.frozen = slices.Clone(s.frozen)
		for _, i := range s.dirty {
			s.frozen[i] = s.tables[i].freeze()
		}
		s.dirty = s.dirty[:0]
	}
	if s.uidsDirty {
		s.uidsAs, s.uidsDirty = *s.uids.Copy(), false
	}
	return &state{
		position: s.position, last: s.last, time: s.time, voids: s.voids, first: s.first,
		chain: s.chain, chained: s.chained,
		epochs: s.epochs, slots: s.slots, tables: s.frozen, uids: s.uidsAs,
	}
}

// past is thaw for a state of the past, which shares objects with the present.
func (s *state) past(present *Snapshot) *state {
	c := s.thaw()
	c.present = present
	return c
}

// thaw gives a state of its own to go on folding from a frozen one.
func (s *state) thaw() *state {
	c := *s
	c.uidsAs = s.uids
	uids := s.uids // Copy writes to its receiver, which others read
	c.uids = *uids.Copy()
	c.frozen = s.tables
	c.tables = make([]*table, len(s.tables))
	for i, t := range s.tables {
		c.tables[i] = t.thaw()
	}
	return &c
}

// sorted gives the tables that aren't empty in order of group and resource.
func (s *state) sorted() []*table {
	out := make([]*table, 0, len(s.tables))
	for _, t := range s.tables {
		if t.objects.Len() > 0 || t.tombs.Len() > 0 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *table) int {
		return cmp.Or(cmp.Compare(a.resource.group, b.resource.group), cmp.Compare(a.resource.resource, b.resource.resource))
	})
	return out
}
