package history

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// explainField finds the step that gave a field the value that it has.
func explainField(l *Life, field string) (*Step, []string, error) {
	path, err := parsePath(field)
	if err != nil {
		return nil, nil, fmt.Errorf("why %s.%s: %w", l.Object.Key(), field, err)
	}
	secret := isSecret(l.Object.Key()) && secretPath(field)
	for i := len(l.Steps) - 1; i >= 0; i-- {
		s := &l.Steps[i]
		if s.Void != "" {
			continue
		}
		old, new, err := values(s, path)
		if err != nil {
			return nil, nil, err
		}
		if reflect.DeepEqual(old, new) {
			continue
		}
		if s.Type == Known {
			return s, []string{fmt.Sprintf("%s is %s since before the history that is kept, which begins at #%d", field, shownValue(new, secret), l.Begins)}, nil
		}
		return s, []string{fieldSentence(field, old, new, s, secret)}, nil
	}
	return nil, nil, fmt.Errorf("why %s.%s: the object never had such a field: %w", l.Object.Key(), field, events.ErrNotFound)
}

// values are a field's values before and after a step.
func values(s *Step, path []part) (old, new any, err error) {
	for _, side := range []struct {
		o  *events.Object
		to *any
	}{{s.before, &old}, {s.after, &new}} {
		if !side.o.Exists() {
			continue
		}
		t, err := tree(side.o.Value)
		if err != nil {
			return nil, nil, err
		}
		*side.to = lookup(t, path)
	}
	return old, new, nil
}

func shownValue(v any, secret bool) string {
	if secret {
		return hidden
	}
	return Show(v)
}

func fieldSentence(field string, old, new any, s *Step, secret bool) string {
	show := func(v any) string { return shownValue(v, secret) }
	who := s.By + " at " + clock(s.Time)
	switch {
	case new == nil && !s.after.Exists():
		return fmt.Sprintf("%s was %s until %s deleted the object", field, show(old), who)
	case new == nil:
		return fmt.Sprintf("%s isn't set: %s removed it, it was %s", field, who, show(old))
	case old == nil && !s.before.Exists():
		return fmt.Sprintf("%s is %s since the object was created by %s", field, show(new), who)
	case old == nil:
		return fmt.Sprintf("%s is %s: %s added it", field, show(new), who)
	}
	return fmt.Sprintf("%s is %s: %s changed it from %s", field, show(new), who, show(old))
}

// part is one step of a path: a name, or what is in brackets.
type part struct {
	name    string
	bracket bool
}

// parsePath reads spec.template.spec.containers[web].image; a name with dots
// stands in brackets (metadata.annotations[example.com/x]).
func parsePath(text string) ([]part, error) {
	var out []part
	rest := strings.TrimPrefix(text, ".")
	for rest != "" {
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("field %q: a bracket isn't closed: %w", text, events.ErrInvalid)
			}
			out = append(out, part{strings.Trim(rest[1:end], `"'`), true})
			rest = strings.TrimPrefix(rest[end+1:], ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("field %q: a name is empty: %w", text, events.ErrInvalid)
		}
		out = append(out, part{name: rest[:end]})
		rest = rest[end:]
		rest = strings.TrimPrefix(rest, ".")
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("field %q is empty: %w", text, events.ErrInvalid)
	}
	return out, nil
}

// lookup finds a path in a tree, nil if it isn't there. An entry of a list is
// named by its name (type, key, …) or its position.
func lookup(v any, path []part) any {
	for _, p := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[p.name]
		case []any:
			v = entry(at, p.name)
		default:
			return nil
		}
	}
	return v
}

func entry(list []any, name string) any {
	for _, id := range identities {
		if !identifies(list, id) {
			continue
		}
		if e, ok := byIdentity(list, id)[name]; ok {
			return e
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(list) {
		return list[i]
	}
	return nil
}
