package history

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// identities are the fields that name a list's entries, the first that does
// wins: what Kubernetes' own lists are merged by.
var identities = []string{"name", "type", "key", "containerPort", "port", "ip", "mountPath", "devicePath", "topologyKey", "uid", "kind"}

// lists compares two lists: entries by name where all have one, words as a set
// when the list got longer or shorter, others by position or as a whole.
func (d *differ) lists(path string, old, new []any) {
	if id := identity(old, new); id != "" {
		o, n := byIdentity(old, id), byIdentity(new, id)
		before := len(d.out)
		for _, k := range names(old, new, id) {
			d.value(path+"["+k+"]", o[k], n[k])
		}
		if len(d.out) == before { // the same entries in another order
			d.add(path, order(old, id), order(new, id))
		}
		return
	}
	switch {
	case len(old) == len(new):
		for i := range old {
			d.value(fmt.Sprintf("%s[%d]", path, i), old[i], new[i])
		}
	case words(old) && words(new):
		for _, e := range old {
			if !slices.Contains(new, e) {
				d.add(path, e, nil)
			}
		}
		for _, e := range new {
			if !slices.Contains(old, e) {
				d.add(path, nil, e)
			}
		}
	default:
		d.add(path, old, new)
	}
}

// identity is the field that names each entry of both lists, "" if none does.
func identity(old, new []any) string {
	for _, id := range identities {
		if len(old)+len(new) > 0 && identifies(old, id) && identifies(new, id) {
			return id
		}
	}
	return ""
}

func identifies(list []any, id string) bool {
	seen := map[string]bool{}
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return false
		}
		name, ok := scalar(m[id])
		if !ok || name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

func byIdentity(list []any, id string) map[string]any {
	out := make(map[string]any, len(list))
	for _, e := range list {
		name, _ := scalar(e.(map[string]any)[id])
		out[name] = e
	}
	return out
}

// names gives the names of both lists, in their order.
func names(old, new []any, id string) []string {
	out := order(old, id)
	for _, n := range order(new, id) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func order(list []any, id string) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i], _ = scalar(e.(map[string]any)[id])
	}
	return out
}

// words: a list of different strings.
func words(list []any) bool {
	seen := map[string]bool{}
	for _, e := range list {
		s, ok := e.(string)
		if !ok || seen[s] {
			return false
		}
		seen[s] = true
	}
	return true
}

// conditions compares by type what people read of a condition: its status, and
// reason and message where the status stayed.
func (d *differ) conditions(path string, old, new []any) {
	if !identifies(old, "type") || !identifies(new, "type") {
		if !reflect.DeepEqual(old, new) {
			d.add(path, old, new)
		}
		return
	}
	o, n := byIdentity(old, "type"), byIdentity(new, "type")
	for _, k := range names(old, new, "type") {
		om, _ := o[k].(map[string]any)
		nm, _ := n[k].(map[string]any)
		at := path + "[" + k + "]"
		if os, ns := om["status"], nm["status"]; os != ns {
			d.add(at, os, ns)
		}
		for _, f := range unionKeys(om, nm) {
			if f == "status" || f == "type" || om == nil || nm == nil {
				continue
			}
			d.value(at+"."+f, om[f], nm[f])
		}
	}
}
