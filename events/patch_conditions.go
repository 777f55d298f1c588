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
	next := p.in.list(sh, v.Len()+1)
	defer func() { next.Clear() }()
	reflect.Copy(next, v)
	used := v.Len()
	for n := 0; ; n++ {
		more, err := p.next(n, ']')
		if err != nil {
			return err
		}
		if !more {
			out := reflect.MakeSlice(sh.typ, used, used)
			reflect.Copy(out, next)
			v.Set(out)
			return nil
		}
		if used == next.Len() {
			wider := p.in.list(sh, 2*used)
			reflect.Copy(wider, next)
			next.Clear()
			next = wider
		}
		is := func(i int, name string) bool { return byType.of(next.Index(i)).String() == name }
		slot := next.Index(used)
		name, remove, err := p.conditionInto(sh, byType, slot)
		if err != nil {
			return err
		}
		if remove {
			kept := 0
			for i := range used {
				if !is(i, name) {
					next.Index(kept).Set(next.Index(i))
					kept++
				}
			}
			for ; used >= kept; used-- {
				next.Index(used).SetZero()
			}
			used = kept
			continue
		}
		i := 0
		for i < used && !is(i, name) {
			i++
		}
		if i == used {
			used++
			continue
		}
		next.Index(i).Set(slot)
		slot.SetZero()
	}
}

// conditionInto reads an entry of a list into slot, and says its type and
// whether it's a removal. What is remembered of the list's own shape are entries
// that aren't.
func (p *patcher) conditionInto(list *shape, byType *field, slot reflect.Value) (name string, remove bool, err error) {
	share := p.peek() == '{' && p.share
	if share && p.known(list, slot) {
		return byType.of(slot).String(), false, nil
	}
	start := p.pos
	if err := p.open('{'); err != nil {
		return "", false, err
	}
	var seen seen
	typed, next := false, 0
	for n := 0; ; n++ {
		key, more, err := p.nextKey(n)
		if err != nil {
			return "", false, err
		}
		if !more {
			break
		}
		f := list.elem.field(key, &next)
		switch {
		case string(key) == "$patch":
			b, err := p.text()
			if err != nil || string(b) != "delete" {
				return "", false, p.fail(`the only "$patch" is "delete"`)
			}
			remove = true
		case f == nil:
			_, err = p.skip()
		case seen.twice(f):
			err = p.fail("key %q twice", key)
		case f == byType:
			var b []byte
			if b, err = p.text(); err == nil {
				name, typed = p.in.string(b), true
				f.of(slot).SetString(name)
			}
		default:
			err = p.decode(f.shape, f.of(slot))
		}
		if err != nil {
			return "", false, err
		}
	}
	if !typed {
		return "", false, p.fail("a condition lacks its type")
	}
	if share && !remove {
		p.remember(list, p.data[start:p.pos], slot)
	}
	return name, remove, nil
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
