package events

import (
	"slices"
)

// maps appends the merge patch from old to new and reports whether there is one.
func (d *differ) maps(old, new map[string]any, at place) (bool, error) {
	start := len(d.buf)
	d.buf = append(d.buf, '{')
	for _, k := range unionKeys(old, new) {
		if at == atMetadata && k == "resourceVersion" {
			continue
		}
		o, had := old[k]
		n, has := new[k]
		before := len(d.buf)
		if before > start+1 {
			d.buf = append(d.buf, ',')
		}
		d.buf = append(appendString(d.buf, k), ':')
		changed, err := true, error(nil)
		switch {
		case !has:
			d.buf = append(d.buf, "null"...)
		case !had:
			err = d.freshAny(n, at.under(k))
		default:
			changed, err = d.any(o, n, at.under(k))
		}
		if err != nil {
			return false, err
		}
		if !changed {
			d.buf = d.buf[:before]
		}
	}
	return d.closeObject(start, at), nil
}

func (d *differ) any(old, new any, at place) (bool, error) {
	om, isOld := old.(map[string]any)
	nm, isNew := new.(map[string]any)
	if isOld && isNew {
		return d.maps(om, nm, at)
	}
	if equalValue(old, new) {
		return false, nil
	}
	if ol, ok := old.([]any); ok && at == atConditions {
		if nl, ok := new.([]any); ok {
			return true, d.conditionsAny(ol, nl)
		}
	}
	return true, d.freshAny(new, at)
}

// freshAny writes a value in place of nothing, or of something else.
func (d *differ) freshAny(new any, at place) error {
	if at == atConditions {
		if list, ok := new.([]any); ok {
			return d.conditionsAny(nil, list)
		}
	}
	if m, ok := new.(map[string]any); ok && at == atStatus {
		changed, err := d.maps(nil, m, at)
		if err == nil && !changed {
			d.buf = append(d.buf, "{}"...)
		}
		return err
	}
	if hasNull(new) {
		return errUnsayable
	}
	var err error
	d.buf, err = appendValue(d.buf, new)
	return err
}

// hasNull reports whether a merge patch with this value would lose a null of it.
func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		if v == nil {
			return true
		}
		for _, e := range v {
			if hasNull(e) {
				return true
			}
		}
	case []any:
		return v == nil
	}
	return false
}

func unionKeys(a, b map[string]any) []string {
	keys := make([]string, 0, max(len(a), len(b)))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// conditionsAny is conditions for custom resources.
func (d *differ) conditionsAny(old, new []any) error {
	names := func(list []any) ([]string, error) {
		out := make([]string, len(list))
		for i, v := range list {
			t, ok := typeOfCondition(v)
			if !ok {
				return nil, errUnsayable
			}
			if _, marked := v.(map[string]any)["$patch"]; marked {
				return nil, errUnsayable
			}
			out[i] = t
		}
		return out, nil
	}
	oldNames, err := names(old)
	if err != nil {
		return err
	}
	newNames, err := names(new)
	if err != nil {
		return err
	}
	return d.conditionList(oldNames, newNames, func(o, n int) bool {
		return equalValue(old[o], new[n])
	}, func(n int) (err error) {
		d.buf, err = appendValue(d.buf, new[n])
		return err
	})
}
