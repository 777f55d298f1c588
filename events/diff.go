package events

import (
	"encoding/json"
	"errors"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// errUnsayable: no merge patch turns the old value into the new one.
var errUnsayable = errors.New("a merge patch can't say this change")

// Diff says what turns old into new: a patch for ApplyPatch and ContentPatch,
// or, where a patch can't say it (an explicit null in a custom resource,
// conditions without unique types or in a new order, another Go type), the
// whole new object and ContentObject. metadata.resourceVersion is not compared,
// and of built-in kinds neither are apiVersion and kind, which the Go type
// implies. An empty patch is "{}". The same values give the same bytes.
func Diff(old, new runtime.Object) (data []byte, contentType string, err error) {
	d := differ{}
	d.buf = make([]byte, 0, 256)
	d.patch = true
	if err = d.object(old, new); err == nil {
		return d.buf, ContentPatch, nil
	}
	if !errors.Is(err, errUnsayable) {
		return nil, "", err
	}
	if data, err = EncodeObject(new); err != nil {
		return nil, "", err
	}
	return data, ContentObject, nil
}

// differ writes a merge patch while it compares.
type differ struct{ encoder }

func (d *differ) object(old, new runtime.Object) error {
	if o, ok := old.(*unstructured.Unstructured); ok {
		n, ok := new.(*unstructured.Unstructured)
		if !ok {
			return errUnsayable
		}
		_, err := d.maps(o.Object, n.Object, atRoot)
		return err
	}
	o, n := reflect.ValueOf(old), reflect.ValueOf(new)
	if o.Type() != n.Type() || o.Kind() != reflect.Pointer || o.IsNil() || n.IsNil() {
		return errUnsayable
	}
	_, err := d.structure(shapeOf(o.Type().Elem()), o.Elem(), n.Elem(), atRoot)
	return err
}

// difference appends the patch from old to new, both present, and reports
// whether there is one; without one it leaves the buffer alone.
func (d *differ) difference(sh *shape, old, new reflect.Value, at place) (bool, error) {
	switch sh.sort {
	case sortStruct:
		return d.structure(sh, old, new, at)
	case sortPointer:
		switch {
		case new.IsNil():
			return d.null(!old.IsNil())
		case old.IsNil():
			return true, d.value(sh, new)
		case old.Pointer() == new.Pointer():
			return false, nil
		}
		return d.difference(sh.elem, old.Elem(), new.Elem(), at)
	case sortMap, sortStringMap:
		switch {
		case new.IsNil():
			return d.null(!old.IsNil())
		case old.IsNil():
			return true, d.value(sh, new)
		case old.Pointer() == new.Pointer():
			return false, nil
		}
		return d.mapping(sh, old, new)
	case sortList:
		if at == atConditions {
			if byType := conditionType(sh); byType != nil && !new.IsNil() {
				return d.conditions(sh, byType, old, new)
			}
		}
		if new.IsNil() {
			return d.null(!old.IsNil())
		}
		if equal(sh, old, new) {
			return false, nil
		}
		return true, d.value(sh, new)
	case sortBytes:
		if new.IsNil() {
			return d.null(!old.IsNil())
		}
	case sortOpaque:
		return d.opaques(old, new)
	}
	if equal(sh, old, new) {
		return false, nil
	}
	return true, d.value(sh, new)
}

func (d *differ) null(differs bool) (bool, error) {
	if differs {
		d.buf = append(d.buf, "null"...)
	}
	return differs, nil
}

func (d *differ) structure(sh *shape, old, new reflect.Value, at place) (bool, error) {
	start := len(d.buf)
	d.buf = append(d.buf, '{')
	for i := range sh.fields {
		f := &sh.fields[i]
		if at == atRoot && (f.name == "apiVersion" || f.name == "kind") || at == atMetadata && f.name == "resourceVersion" {
			continue
		}
		ov, nv := f.of(old), f.of(new)
		before := len(d.buf)
		if before > start+1 {
			d.buf = append(d.buf, ',')
		}
		d.buf = append(d.buf, f.prefix...)
		changed, err := d.field(f, ov, nv, at.under(f.name))
		if err != nil {
			return false, err
		}
		if !changed {
			d.buf = d.buf[:before]
		}
	}
	return d.closeObject(start, at), nil
}

// closeObject ends the patch of an object that began at start; nothing in it
// means no change, and no bytes but at the root.
func (d *differ) closeObject(start int, at place) bool {
	if len(d.buf) == start+1 && at != atRoot {
		d.buf = d.buf[:start]
		return false
	}
	d.buf = append(d.buf, '}')
	return true
}

func (d *differ) field(f *field, old, new reflect.Value, at place) (bool, error) {
	oldAbsent, newAbsent := f.absent(old), f.absent(new)
	switch {
	case oldAbsent && newAbsent:
		return false, nil
	case newAbsent:
		return d.null(true)
	case oldAbsent:
		before := len(d.buf)
		if err := d.fresh(f.shape, new, at); err != nil {
			return false, err
		}
		// null where nothing was changes nothing.
		return !isNull(d.buf[before:]), nil
	}
	return d.difference(f.shape, old, new, at)
}

// fresh writes a value that wasn't there; conditions in it still are merged.
func (d *differ) fresh(sh *shape, new reflect.Value, at place) error {
	if at != atStatus && at != atConditions {
		return d.value(sh, new)
	}
	changed, err := d.difference(sh, reflect.New(sh.typ).Elem(), new, at)
	if err == nil && !changed {
		return d.value(sh, new)
	}
	return err
}

func (d *differ) mapping(sh *shape, old, new reflect.Value) (bool, error) {
	start := len(d.buf)
	d.buf = append(d.buf, '{')
	keys := reflect.MakeMapWithSize(sh.typ, old.Len()+new.Len())
	for _, m := range []reflect.Value{old, new} {
		for it := m.MapRange(); it.Next(); {
			keys.SetMapIndex(it.Key(), it.Value())
		}
	}
	for _, k := range sortedKeys(keys) {
		o, n := old.MapIndex(k), new.MapIndex(k)
		before := len(d.buf)
		if before > start+1 {
			d.buf = append(d.buf, ',')
		}
		d.buf = append(appendString(d.buf, k.String()), ':')
		changed, err := true, error(nil)
		at := len(d.buf)
		switch {
		case !n.IsValid():
			d.buf = append(d.buf, "null"...)
		case !o.IsValid():
			err = d.value(sh.elem, n)
		default:
			changed, err = d.difference(sh.elem, addressable(o), addressable(n), inside)
		}
		switch {
		case err != nil:
			return false, err
		case !changed:
			d.buf = d.buf[:before]
		case n.IsValid() && isNull(d.buf[at:]):
			return false, errUnsayable // null as a map's value removes the key
		}
	}
	return d.closeObject(start, inside), nil
}

// opaques compares values with their own JSON methods by their JSON.
func (d *differ) opaques(old, new reflect.Value) (bool, error) {
	if identical(old, new) {
		return false, nil
	}
	o, err := json.Marshal(addressable(old).Addr().Interface())
	if err != nil {
		return false, err
	}
	n, err := json.Marshal(addressable(new).Addr().Interface())
	if err != nil {
		return false, err
	}
	switch {
	case string(o) == string(n):
		return false, nil
	case o[0] == '{' && n[0] == '{':
		om, err := rawMap(o)
		if err != nil {
			return false, err
		}
		nm, err := rawMap(n)
		if err != nil {
			return false, err
		}
		return d.maps(om, nm, inside)
	}
	return true, d.opaque(new)
}
