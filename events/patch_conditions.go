package events

import (
	"reflect"
	"slices"
)

// Conditions have several writers, so a patch merges them by type: an entry
// replaces the one of its type in its place, or is added at the end;
// {"type":"X","$patch":"delete"} removes those of type X.

// conditionType gives the field "type" of a list of conditions, nil if it isn't one.
func conditionType(list *shape) *field {
	if list.elem.sort != sortStruct {
		return nil
	}
	if f := list.elem.byName["type"]; f != nil && f.shape.sort == sortString {
		return f
	}
	return nil
}

func (p *patcher) conditions(sh *shape, byType *field, v reflect.Value) error {
	if err := p.open('['); err != nil {
		return err
	}
	next := reflect.MakeSlice(sh.typ, v.Len(), v.Len())
	reflect.Copy(next, v)
	for n := 0; ; n++ {
		more, err := p.next(n, ']')
		if err != nil {
			return err
		}
		if !more {
			v.Set(next)
			return nil
		}
		start := p.pos
		name, remove, err := p.condition()
		if err != nil {
			return err
		}
		if remove {
			kept := reflect.MakeSlice(sh.typ, 0, next.Len())
			for i := range next.Len() {
				if byType.of(next.Index(i)).String() != name {
					kept = reflect.Append(kept, next.Index(i))
				}
			}
			next = kept
			continue
		}
		i := 0
		for i < next.Len() && byType.of(next.Index(i)).String() != name {
			i++
		}
		if i == next.Len() {
			next = reflect.Append(next, reflect.Zero(sh.elem.typ))
		}
		slot := next.Index(i)
		slot.SetZero()
		p.pos = start
		if err := p.decode(sh.elem, slot); err != nil {
			return err
		}
	}
}

func (p *patcher) conditionsAny(old []any) ([]any, error) {
	if err := p.open('['); err != nil {
		return nil, err
	}
	next := append(make([]any, 0, len(old)), old...)
	for n := 0; ; n++ {
		more, err := p.next(n, ']')
		if err != nil || !more {
			return next, err
		}
		start := p.pos
		name, remove, err := p.condition()
		if err != nil {
			return nil, err
		}
		is := func(v any) bool { t, ok := typeOfCondition(v); return ok && t == name }
		if remove {
			next = slices.DeleteFunc(next, is)
			continue
		}
		p.pos = start
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(next, is); i >= 0 {
			next[i] = v
		} else {
			next = append(next, v)
		}
	}
}

// condition reads over an entry and says its type and whether it's a removal.
func (p *patcher) condition() (name string, remove bool, err error) {
	if err := p.open('{'); err != nil {
		return "", false, err
	}
	typed := false
	for n := 0; ; n++ {
		key, more, err := p.nextKey(n)
		if err != nil {
			return "", false, err
		}
		if !more {
			if !typed {
				return "", false, p.fail("a condition lacks its type")
			}
			return name, remove, nil
		}
		switch string(key) {
		case "type":
			if typed {
				return "", false, p.fail(`key "type" twice`)
			}
			b, err := p.text()
			if err != nil {
				return "", false, err
			}
			name, typed = p.in.string(b), true
		case "$patch":
			b, err := p.text()
			if err != nil || string(b) != "delete" {
				return "", false, p.fail(`the only "$patch" is "delete"`)
			}
			remove = true
		default:
			if _, err := p.skip(); err != nil {
				return "", false, err
			}
		}
	}
}

// typeOfCondition gives the type of a custom resource's condition.
func typeOfCondition(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return "", false
	}
	t, ok := m["type"].(string)
	return t, ok
}
