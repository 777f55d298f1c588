package events

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// bookkeeping: fields of metadata that change with every write and say nothing.
func bookkeeping(name string) bool {
	return name == "managedFields" || name == "resourceVersion" || name == "generation"
}

// changesBetween lists what differs, in the order of the paths. Objects of
// different Go types differ in one change without a path.
func changesBetween(old, new runtime.Object) []change {
	if reflect.TypeOf(old) != reflect.TypeOf(new) {
		return []change{{}}
	}
	var c comparer
	if u, ok := old.(*unstructured.Unstructured); ok {
		collect(&c.out, "", withoutBookkeeping(u.Object), withoutBookkeeping(new.(*unstructured.Unstructured).Object))
		return c.out
	}
	o, n := reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem()
	c.structs(shapeOf(o.Type()), o, n)
	if c.failed {
		return []change{{}}
	}
	return c.out
}

func withoutBookkeeping(object map[string]any) map[string]any {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return object
	}
	object = maps.Clone(object)
	object["metadata"] = maps.Clone(metadata)
	maps.DeleteFunc(object["metadata"].(map[string]any), func(name string, _ any) bool { return bookkeeping(name) })
	return object
}

// comparer lists the changes between two structs by their shapes, as collect
// does between their JSON trees. Only what differs is looked at closely.
type comparer struct {
	at     []string // the names above
	out    []change
	failed bool // a value has no JSON
}

func (c *comparer) path() string { return strings.Join(c.at, ".") }

// add adds a change of what is at c.at; nil: absent.
func (c *comparer) add(old, new any) { c.out = append(c.out, change{c.path(), old, new}) }

// within does something one name further down.
func (c *comparer) within(name string, do func()) {
	c.at = append(c.at, name)
	do()
	c.at = c.at[:len(c.at)-1]
}

// isNull reports whether a value's JSON is null, which is as good as absent.
func (sh *shape) isNull(v reflect.Value) bool {
	switch sh.sort {
	case sortPointer, sortList, sortMap, sortStringMap, sortBytes:
		return v.IsNil()
	}
	return false
}

func (c *comparer) structs(sh *shape, old, new reflect.Value) {
	for _, i := range sh.sorted {
		f := &sh.fields[i]
		if len(c.at) == 0 && (f.name == "apiVersion" || f.name == "kind") || len(c.at) == 1 && c.at[0] == "metadata" && bookkeeping(f.name) {
			continue
		}
		ov, nv := f.of(old), f.of(new)
		was, is := !f.absent(ov) && !f.shape.isNull(ov), !f.absent(nv) && !f.shape.isNull(nv)
		if was && is && (f.shape.sort == sortStruct || f.shape.sort == sortPointer && ov.Pointer() != nv.Pointer()) {
			c.at = append(c.at, f.name)
			c.both(f.shape, ov, nv)
			c.at = c.at[:len(c.at)-1]
			continue
		}
		if was && is && equal(f.shape, ov, nv) {
			continue
		}
		c.child(f.shape, f.name, ov, nv, was, is)
	}
}

// child compares what is under a name on one side or on both.
func (c *comparer) child(sh *shape, name string, old, new reflect.Value, was, is bool) {
	if !was && !is {
		return
	}
	grows := grows(c.path(), name)
	c.within(name, func() {
		switch {
		case was && is:
			c.both(sh, old, new)
		case is:
			c.one(sh, new, grows, func(v any) { c.add(nil, v) })
		default:
			c.one(sh, old, grows, func(v any) { c.add(v, nil) })
		}
	})
}

// both compares two values that are there.
func (c *comparer) both(sh *shape, old, new reflect.Value) {
	switch sh.sort {
	case sortStruct:
		c.structs(sh, old, new)
	case sortPointer:
		if sh.elem.isNull(old.Elem()) || sh.elem.isNull(new.Elem()) {
			c.trees(sh, old, new)
			return
		}
		if old.Pointer() != new.Pointer() {
			c.both(sh.elem, old.Elem(), new.Elem())
		}
	case sortMap, sortStringMap:
		if old.Pointer() == new.Pointer() {
			return
		}
		if c.nulls(sh, old) || c.nulls(sh, new) {
			c.trees(sh, old, new)
			return
		}
		c.entries(sh.elem, keyed(old), keyed(new))
	case sortList:
		c.lists(sh, old, new)
	case sortTime, sortOpaque:
		c.trees(sh, old, new)
	default:
		if !equal(sh, old, new) {
			c.add(c.tree(sh, old), c.tree(sh, new))
		}
	}
}

// nulls reports whether a map has a value that is null, or could be.
func (c *comparer) nulls(sh *shape, m reflect.Value) bool {
	if sh.sort == sortStringMap {
		return false
	}
	for it := m.MapRange(); it.Next(); {
		if sh.elem.isNull(it.Value()) {
			return true
		}
	}
	return false
}

// one is a value that is on one side only: it is one change, or if it grows, or
// its entries have names, one for each of its entries.
func (c *comparer) one(sh *shape, v reflect.Value, grows bool, add func(any)) {
	for sh.sort == sortPointer && !v.IsNil() {
		sh, v = sh.elem, v.Elem()
	}
	switch {
	case sh.sort == sortList && !sh.isNull(v):
		entries, ok := c.named(sh, v)
		if !ok || len(entries) == 0 {
			add([]any{})
			return
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			grows := growsAny(name)
			c.within(name, func() { c.one(sh.elem, entries[name], grows, add) })
		}
	case sh.sort == sortStruct && grows:
		before, some := len(c.out), false
		for _, i := range sh.sorted {
			f := &sh.fields[i]
			fv := f.of(v)
			if len(c.at) == 1 && c.at[0] == "metadata" && bookkeeping(f.name) || f.absent(fv) {
				continue
			}
			some = true
			if !f.shape.isNull(fv) {
				c.within(f.name, func() { c.one(f.shape, fv, growsAny(f.name), add) })
			}
		}
		if some && len(c.out) == before { // nothing but nulls
			c.add(map[string]any{}, map[string]any{})
		}
	case (sh.sort == sortMap || sh.sort == sortStringMap) && grows && !sh.isNull(v):
		before, entries := len(c.out), keyed(v)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			c.within(name, func() { c.one(sh.elem, entries[name], growsAny(name), add) })
		}
		if len(entries) > 0 && len(c.out) == before { // nothing but nulls
			c.add(map[string]any{}, map[string]any{})
		}
	case sh.sort == sortStruct, (sh.sort == sortMap || sh.sort == sortStringMap) && !sh.isNull(v):
		add(map[string]any{})
	default:
		if tree := c.tree(sh, v); tree != nil {
			add(tree)
		}
	}
}

// keyed gives a map's values by their keys.
func keyed(m reflect.Value) map[string]reflect.Value {
	out := make(map[string]reflect.Value, m.Len())
	for it := m.MapRange(); it.Next(); {
		out[it.Key().String()] = addressable(it.Value())
	}
	return out
}

// entries compares what has the same name.
func (c *comparer) entries(elem *shape, old, new map[string]reflect.Value) {
	names := slices.Collect(maps.Keys(old))
	for name := range new {
		if _, ok := old[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		o, was := old[name]
		n, is := new[name]
		if was && is && equal(elem, o, n) {
			continue
		}
		c.child(elem, name, o, n, was, is)
	}
}

// lists compares lists whose entries have names by name, status.conditions by
// type, others as a whole.
func (c *comparer) lists(sh *shape, old, new reflect.Value) {
	if equal(sh, old, new) {
		return
	}
	o, ok := c.named(sh, old)
	n, okNew := c.named(sh, new)
	if ok && okNew {
		before := len(c.out)
		if c.entries(sh.elem, o, n); len(c.out) > before {
			return
		}
	}
	// Without names, or in another order; or with numbers written in another way.
	if o, n := c.tree(sh, old), c.tree(sh, new); !equalValue(o, n) {
		c.add(o, n)
	}
}

// named gives a list's entries by their name or type; false if some have none.
func (c *comparer) named(sh *shape, list reflect.Value) (map[string]reflect.Value, bool) {
	id := "name"
	if len(c.at) == 2 && c.at[0] == "status" && c.at[1] == "conditions" {
		id = "type"
	}
	out := make(map[string]reflect.Value, list.Len())
	for i := range list.Len() {
		e, elem := list.Index(i), sh.elem
		if elem.sort != sortStruct {
			return nil, false
		}
		f := elem.byName[id]
		if f == nil || f.absent(f.of(e)) {
			return nil, false
		}
		text := reflect.Indirect(f.of(e))
		if text.Kind() != reflect.String {
			return nil, false
		}
		name := text.String()
		if _, twice := out[name]; twice {
			return nil, false
		}
		out[name] = e
	}
	return out, true
}

// trees compares two values by their JSON.
func (c *comparer) trees(sh *shape, old, new reflect.Value) {
	if !equal(sh, old, new) {
		collect(&c.out, c.path(), c.tree(sh, old), c.tree(sh, new))
	}
}

// tree gives a value's JSON.
func (c *comparer) tree(sh *shape, v reflect.Value) any {
	e := encoder{}
	err := e.value(sh, v)
	if err == nil {
		s := scanner{data: e.buf}
		var tree any
		if tree, err = s.value(); err == nil {
			return tree
		}
	}
	c.failed = true
	return nil
}
