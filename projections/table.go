package projections

import (
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/tidwall/btree"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// table holds one resource's objects. The trees are copied on write. The
// indexes name objects and don't hold them, so that a change of status writes
// to one tree.
type table struct {
	resource resource
	dirty    bool // changed since it was last frozen

	objects btree.Map[string, *events.Object]
	tombs   btree.Map[string, *events.Object] // deleted, or only void events so far
	byOwner btree.Set[string]                 // indexKey of the owner's uid
	byPlace btree.Set[string]                 // indexKey of placeOf
	orphans btree.Set[string]                 // keys of what has no controller; if adoptable only
}

// keyOf is an object's key in its table: tables are ordered by namespace, then
// name, as lists of the Kubernetes API are.
func keyOf(k events.Key) string { return k.Namespace + "/" + k.Name }

// indexKey is an index's entry for the object with a table key.
func indexKey(value, key string) string { return value + "\x00" + key }

// uidKey is the entry for an object in the index of uids. It names the object
// as well: if two have one uid (which the API never makes), both are in the
// index whatever was created or deleted first.
func uidKey(uid string, k events.Key, key string) string {
	return uid + "\x00" + k.Group + "\x00" + k.Resource + "\x00" + key
}

// uidKeyed is the inverse of uidKey, without the uid.
func uidKeyed(entry string) (r resource, key string) {
	r.group, entry, _ = strings.Cut(entry, "\x00")
	r.resource, key, _ = strings.Cut(entry, "\x00")
	return r, key
}

// indexable reports whether a value can be told from the key that follows it.
func indexable(value string) bool { return value != "" && strings.IndexByte(value, 0) < 0 }

func (t *table) lookup(key string) *events.Object {
	if o, ok := t.objects.Get(key); ok {
		return o
	}
	o, _ := t.tombs.Get(key)
	return o
}

// freeze gives an immutable copy; t goes on.
func (t *table) freeze() *table {
	t.dirty = false
	return &table{
		resource: t.resource,
		objects:  *t.objects.Copy(), tombs: *t.tombs.Copy(),
		byOwner: *t.byOwner.Copy(), byPlace: *t.byPlace.Copy(), orphans: *t.orphans.Copy(),
	}
}

// thaw gives a copy to write to of a frozen table, which others are reading:
// a tree's Copy writes to its receiver, so that is a copy of ours.
func (t *table) thaw() *table {
	c := *t
	return c.freeze()
}

// index replaces old's entries in the indexes by next's; either may not exist.
func (s *state) index(t *table, key string, old, next *events.Object) {
	var oldUID, newUID, oldPlace, newPlace string
	var oldOwners, newOwners []metav1.OwnerReference
	if old.Exists() {
		m := old.Meta()
		oldUID, oldPlace, oldOwners = string(m.GetUID()), placeOf(old), m.GetOwnerReferences()
	}
	if next.Exists() {
		m := next.Meta()
		newUID, newPlace, newOwners = string(m.GetUID()), placeOf(next), m.GetOwnerReferences()
	}
	if oldUID != newUID {
		s.uidsDirty = true
		change(&s.uids, oldUID, newUID, func(uid string) string { return uidKey(uid, next.Key, key) })
	}
	if oldPlace != newPlace {
		change(&t.byPlace, oldPlace, newPlace, func(place string) string { return indexKey(place, key) })
	}
	if t.resource.adoptable() {
		t.indexOrphan(key, old.Exists() && !controlled(oldOwners), next.Exists() && !controlled(newOwners))
	}
	if slices.EqualFunc(oldOwners, newOwners, func(a, b metav1.OwnerReference) bool { return a.UID == b.UID }) {
		return
	}
	entry := func(uid string) string { return indexKey(uid, key) }
	for _, owner := range oldOwners {
		change(&t.byOwner, string(owner.UID), "", entry)
	}
	for _, owner := range newOwners {
		change(&t.byOwner, "", string(owner.UID), entry)
	}
}

// change replaces the entry of one value by that of another.
func change(index *btree.Set[string], old, next string, entry func(string) string) {
	if indexable(old) {
		index.Delete(entry(old))
	}
	if indexable(next) {
		index.Insert(entry(next))
	}
}
