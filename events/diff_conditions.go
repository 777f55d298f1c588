package events

import (
	"reflect"
	"slices"
)

// conditions appends the patch of a list of conditions and reports whether there is one.
func (d *differ) conditions(sh *shape, byType *field, old, new reflect.Value) (bool, error) {
	if old.IsNil() == new.IsNil() && equal(sh, old, new) {
		return false, nil
	}
	names := func(list reflect.Value) []string {
		out := make([]string, list.Len())
		for i := range out {
			out[i] = byType.of(list.Index(i)).String()
		}
		return out
	}
	patch := d.patch
	d.patch = false // entries are replaced whole
	err := d.conditionList(names(old), names(new), func(o, n int) bool {
		return equal(sh.elem, old.Index(o), new.Index(n))
	}, func(n int) error {
		return d.value(sh.elem, new.Index(n))
	})
	d.patch = patch
	return true, err
}

// conditionList appends removals, changed and added entries. It can't be said
// when types aren't unique, or when the order is not that of the old entries
// followed by the added ones.
func (d *differ) conditionList(old, new []string, same func(o, n int) bool, write func(n int) error) error {
	if !unique(old) || !unique(new) {
		return errUnsayable
	}
	d.buf = append(d.buf, '[')
	comma := func() {
		if d.buf[len(d.buf)-1] != '[' {
			d.buf = append(d.buf, ',')
		}
	}
	next := 0 // the new entry that must come next to keep the order
	for o, name := range old {
		n := slices.Index(new, name)
		switch {
		case n < 0:
			comma()
			d.buf = append(d.buf, `{"type":`...)
			d.buf = append(appendString(d.buf, name), `,"$patch":"delete"}`...)
			continue
		case n != next:
			return errUnsayable
		case !same(o, n):
			comma()
			if err := write(n); err != nil {
				return err
			}
		}
		next++
	}
	for n := next; n < len(new); n++ {
		comma()
		if err := write(n); err != nil {
			return err
		}
	}
	d.buf = append(d.buf, ']')
	return nil
}

// unique reports whether each name is there once, and none is empty.
func unique(names []string) bool {
	for i, name := range names {
		if name == "" || slices.Contains(names[:i], name) {
			return false
		}
	}
	return true
}
