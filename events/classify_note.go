package events

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNote bounds a note, in runes.
const maxNote = 120

// collect appends the changes between two trees. Lists whose entries have names
// are compared by name, status.conditions by type, others as a whole.
func collect(out *[]change, path string, old, new any) {
	if equalValue(old, new) {
		return
	}
	om, isOld := old.(map[string]any)
	nm, isNew := new.(map[string]any)
	if !isOld || !isNew {
		id := "name"
		if path == "status.conditions" {
			id = "type"
		}
		om, isOld = named(old, id)
		nm, isNew = named(new, id)
		if old == nil && isNew {
			om, isOld = map[string]any{}, true
		}
		if new == nil && isOld {
			nm, isNew = map[string]any{}, true
		}
		if !isOld || !isNew {
			*out = append(*out, change{path, old, new})
			return
		}
	}
	before := len(*out)
	for _, k := range unionKeys(om, nm) {
		at := k
		if path != "" {
			at = path + "." + k
		}
		o, n := om[k], nm[k]
		_, oldMap := o.(map[string]any)
		_, newMap := n.(map[string]any)
		if o == nil && newMap && grows(path, k) {
			o = map[string]any{}
		}
		if n == nil && oldMap && grows(path, k) {
			n = map[string]any{}
		}
		collect(out, at, o, n)
	}
	if len(*out) == before { // the same entries in another order
		*out = append(*out, change{path, old, new})
	}
}

// grows: of these maps each key is a change of its own even when the map is new.
func grows(path, key string) bool {
	return growsAny(key) || path == "" && (key == "spec" || key == "metadata" || key == "data" || key == "status")
}

// growsAny: such maps anywhere in an object.
func growsAny(key string) bool { return key == "labels" || key == "annotations" }

// named gives a list's entries by their name or type; false if some have none.
func named(v any, id string) (map[string]any, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make(map[string]any, len(list))
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, ok := m[id].(string)
		if _, twice := out[name]; !ok || twice {
			return nil, false
		}
		out[name] = m
	}
	return out, true
}

// describe puts changes into words, the telling ones first.
func describe(changes []change) string {
	var first, rest []string
	for _, c := range changes {
		text, telling := c.words()
		if text == "" {
			continue
		}
		if telling {
			first = append(first, text)
		} else {
			rest = append(rest, text)
		}
	}
	parts := append(first, rest...)
	const most = 4
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
	}
	return strings.Join(parts, ", ")
}

// words says a change, and whether it's of the sort that people look for.
func (c change) words() (text string, telling bool) {
	for _, kind := range []string{"label", "annotation"} {
		if key, ok := strings.CutPrefix(c.path, "metadata."+kind+"s."); ok {
			if kind == "annotation" && (strings.HasSuffix(key, "last-applied-configuration") || strings.HasPrefix(key, "deployment.kubernetes.io/")) {
				return "", false
			}
			return kind + " " + key + " " + c.verb(), kind == "label"
		}
	}
	if _, rest, ok := strings.Cut(c.path, "ontainers."); ok {
		if name, field, ok := strings.Cut(rest, "."); ok {
			return field + " of container " + name + c.colon(), field == "image"
		}
		return "container " + rest + " " + c.verb(), true
	}
	if name, ok := strings.CutPrefix(c.path, "status.conditions."); ok {
		name, field, inside := strings.Cut(name, ".")
		switch {
		case field == "status":
			return "condition " + name + c.colon(), true
		case inside:
			return "", false
		}
		return "condition " + name + " " + c.verb(), true
	}
	if key, ok := strings.CutPrefix(c.path, "data."); ok {
		return "key " + key + " " + c.verb(), true // values may be secret
	}
	if c.path == "" {
		return "replaced", true
	}
	name := strings.TrimPrefix(strings.TrimPrefix(c.path, "spec."), "metadata.")
	switch c.path {
	case "spec.replicas", "spec.paused", "status.phase", "spec.nodeName", "spec.type":
		return name + " " + show(c.old) + " → " + show(c.new), true
	}
	if secretive(c.path) || c.long() {
		return name + " " + c.verb(), false
	}
	return name + " " + show(c.old) + " → " + show(c.new), false
}

// secretive: fields whose values don't belong into a note.
func secretive(path string) bool {
	return strings.HasPrefix(path, "stringData") || strings.Contains(path, ".env.") || strings.HasPrefix(path, "binaryData")
}

func (c change) colon() string {
	if c.long() || strings.Contains(c.path, ".env.") {
		return " " + c.verb()
	}
	return ": " + show(c.old) + " → " + show(c.new)
}

func (c change) verb() string {
	switch {
	case c.old == nil:
		return "added"
	case c.new == nil:
		return "removed"
	}
	return "changed"
}

func (c change) long() bool {
	for _, v := range []any{c.old, c.new} {
		switch v := v.(type) {
		case map[string]any, []any:
			return true
		case string:
			if len(v) > 60 {
				return true
			}
		}
	}
	return false
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		if v == "" {
			return "none"
		}
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// clip bounds a note and keeps it on one line.
func clip(s string) string {
	s = oneLine(s)
	if utf8.RuneCountInString(s) <= maxNote {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:maxNote-1])) + "…"
}
