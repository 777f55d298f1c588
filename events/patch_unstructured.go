package events

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func (p *patcher) applyUnstructured(u *unstructured.Unstructured) (runtime.Object, error) {
	next, err := p.mergeMap(u.Object, atRoot)
	if err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	// The metadata is always a copy: whoever folds sets the resourceVersion in it.
	if m, ok := next["metadata"].(map[string]any); ok {
		next["metadata"] = maps.Clone(m)
	}
	out := &unstructured.Unstructured{Object: next}
	if err := checkUnstructured(out); err != nil {
		return nil, err
	}
	return out, nil
}

// checkUnstructured makes sure that the accessors of u's metadata work.
func checkUnstructured(u *unstructured.Unstructured) error {
	if _, ok := u.Object["metadata"].(map[string]any); !ok {
		return fmt.Errorf("%w: %s has no metadata", ErrInvalid, u.GetKind())
	}
	if u.GetKind() == "" || u.GetAPIVersion() == "" {
		return fmt.Errorf("%w: object lacks apiVersion or kind", ErrInvalid)
	}
	return nil
}

// mergeMap is RFC 7386 on maps; old (which may be nil) is copied, not written.
func (p *patcher) mergeMap(old map[string]any, at place) (map[string]any, error) {
	if err := p.open('{'); err != nil {
		return nil, err
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]any{}
	}
	var keys keySet
	for n := 0; ; n++ {
		b, more, err := p.nextKey(n)
		if err != nil || !more {
			return next, err
		}
		key := p.in.string(b)
		if keys.twice(key) {
			return nil, p.fail("key %q twice", key)
		}
		if p.fact && at == atRoot {
			if err := p.factKey(b); err != nil {
				return nil, err
			}
		}
		at := at.under(key)
		switch c := p.peek(); {
		case c == 'n':
			delete(next, key)
			err = p.literal("null")
		case c == '{':
			child, _ := next[key].(map[string]any)
			next[key], err = p.mergeMap(child, at)
		case c == '[' && at == atConditions:
			list, _ := next[key].([]any)
			next[key], err = p.conditionsAny(list)
		default:
			next[key], err = p.value()
		}
		if err != nil {
			return nil, err
		}
	}
}

// rawMap reads a JSON object, numbers as they are written.
func rawMap(data []byte) (map[string]any, error) {
	s := scanner{data: data, numbers: true}
	m, err := s.valueMap()
	if err != nil {
		return nil, err
	}
	return m, s.end()
}
