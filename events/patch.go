package events

import (
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// place is where in an object a patch is at: the rules for status.conditions
// and metadata.resourceVersion hold at the top only.
type place uint8

const (
	inside place = iota
	atRoot
	atMetadata
	atStatus
	atConditions
)

// under gives the place of a field.
func (p place) under(name string) place {
	switch {
	case p == atRoot && name == "metadata":
		return atMetadata
	case p == atRoot && name == "status":
		return atStatus
	case p == atStatus && name == "conditions":
		return atConditions
	}
	return inside
}

// ApplyPatch applies a merge patch (RFC 7386, with status.conditions merged by
// type) to a value and returns the new one, which shares with value what the
// patch doesn't touch. value itself is not changed; the returned top-level
// struct and its metadata are always a copy.
//
// A patch that is no JSON object, names a key twice in one object, or doesn't
// decode into value's type is ErrInvalid. Unknown fields are ignored.
func ApplyPatch(value runtime.Object, patch []byte) (runtime.Object, error) {
	p := patcher{scanner: scanner{data: patch}}
	return p.apply(value)
}

// applyShared is ApplyPatch for a value that nobody will write to.
func applyShared(value runtime.Object, patch []byte) (runtime.Object, error) {
	p := patcher{scanner: scanner{data: patch, share: true}}
	return p.apply(value)
}

// patcher applies a merge patch while it reads it.
type patcher struct {
	scanner
	fact bool // refuse everything but a change of status
}

func (p *patcher) apply(value runtime.Object) (runtime.Object, error) {
	p.in = interners.Get().(*interner)
	defer interners.Put(p.in)
	if u, ok := value.(*unstructured.Unstructured); ok {
		return p.applyUnstructured(u)
	}
	old := reflect.ValueOf(value)
	if old.Kind() != reflect.Pointer || old.IsNil() {
		return nil, fmt.Errorf("%w: can't patch a %T", ErrInvalid, value)
	}
	next := reflect.New(old.Type().Elem())
	next.Elem().Set(old.Elem())
	if err := p.structure(shapeOf(old.Type().Elem()), next.Elem(), atRoot); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	out := next.Interface().(runtime.Object)
	if was, is := value.GetObjectKind().GroupVersionKind(), out.GetObjectKind().GroupVersionKind(); was != is {
		return nil, fmt.Errorf("%w: a patch can't turn %s into %s", ErrInvalid, was, is)
	}
	return out, nil
}

// merge patches a slot, which holds a shallow copy of the old value: what it
// points to is shared and must be replaced, never written.
func (p *patcher) merge(sh *shape, v reflect.Value, at place) error {
	c := p.peek()
	if c == 'n' {
		v.SetZero()
		return p.literal("null")
	}
	switch sh.sort {
	case sortStruct:
		return p.structure(sh, v, at)
	case sortPointer:
		next := reflect.New(sh.elem.typ)
		if !v.IsNil() {
			next.Elem().Set(v.Elem())
		}
		if err := p.merge(sh.elem, next.Elem(), at); err != nil {
			return err
		}
		v.Set(next)
		return nil
	case sortStringMap, sortMap:
		return p.mapping(sh, v)
	case sortList:
		if at == atConditions {
			if byType := conditionType(sh); byType != nil {
				return p.conditions(sh, byType, v)
			}
		}
	case sortOpaque:
		if c == '{' {
			return p.opaque(v)
		}
	}
	v.SetZero()
	return p.decode(sh, v)
}

func (p *patcher) structure(sh *shape, v reflect.Value, at place) error {
	if err := p.open('{'); err != nil {
		return err
	}
	var seen seen
	next := 0
	for n := 0; ; n++ {
		key, more, err := p.nextKey(n)
		if err != nil || !more {
			return err
		}
		if p.fact && at == atRoot {
			if err := p.factKey(key); err != nil {
				return err
			}
		}
		f := sh.field(key, &next)
		if f == nil {
			_, err = p.skip()
		} else if seen.twice(f) {
			err = p.fail("key %q twice", key)
		} else {
			err = p.merge(f.shape, f.of(v), at.under(f.name))
		}
		if err != nil {
			return err
		}
	}
}

// factKey refuses what a fact may not say at the top.
func (p *patcher) factKey(key []byte) error {
	if string(key) != "status" {
		return void("a fact may change status only, not %s", key)
	}
	if p.peek() == 'n' {
		return void("a fact can't remove status")
	}
	return nil
}

// mapping patches a copy of the map.
func (p *patcher) mapping(sh *shape, v reflect.Value) error {
	if err := p.open('{'); err != nil {
		return err
	}
	next := reflect.MakeMapWithSize(sh.typ, v.Len())
	for it := v.MapRange(); it.Next(); {
		next.SetMapIndex(it.Key(), it.Value())
	}
	var keys keySet
	key := reflect.New(sh.typ.Key()).Elem()
	slot := reflect.New(sh.elem.typ).Elem()
	for n := 0; ; n++ {
		b, more, err := p.nextKey(n)
		if err != nil {
			return err
		}
		if !more {
			v.Set(next)
			return nil
		}
		if keys.twice(string(b)) {
			return p.fail("key %q twice", b)
		}
		key.SetString(p.in.string(b))
		if p.peek() == 'n' {
			next.SetMapIndex(key, reflect.Value{})
			if err := p.literal("null"); err != nil {
				return err
			}
			continue
		}
		if old := next.MapIndex(key); old.IsValid() {
			slot.Set(old)
		} else {
			slot.SetZero()
		}
		if err := p.merge(sh.elem, slot, inside); err != nil {
			return err
		}
		next.SetMapIndex(key, slot)
	}
}

// opaque merges an object into a value with its own JSON methods.
func (p *patcher) opaque(v reflect.Value) error {
	data, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return p.fail("%v", err)
	}
	var old map[string]any
	if data[0] == '{' {
		if old, err = rawMap(data); err != nil {
			return err
		}
	}
	numbers := p.numbers
	p.numbers = true
	next, err := p.mergeMap(old, inside)
	p.numbers = numbers
	if err != nil {
		return err
	}
	if data, err = appendValue(nil, next); err != nil {
		return err
	}
	v.SetZero()
	return p.decodeOpaque(data, v)
}

// keySet finds a key that comes twice; few keys need no map.
type keySet struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

func (s *keySet) twice(key string) bool {
	if s.many == nil {
		for i := range s.n {
			if s.few[i] == key {
				return true
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = key
			s.n++
			return false
		}
		s.many = map[string]struct{}{}
		for _, k := range s.few {
			s.many[k] = struct{}{}
		}
	}
	if _, ok := s.many[key]; ok {
		return true
	}
	s.many[key] = struct{}{}
	return false
}
