package events

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// ApplyPatch applies a merge patch (RFC 7386, with status.conditions merged by
// type) to a value and returns the new one, which shares with value what the
// patch doesn't touch. value itself is not changed; the returned top-level
// struct and its metadata are always a copy.
func ApplyPatch(value runtime.Object, patch []byte) (runtime.Object, error) {
	var p map[string]any
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, fmt.Errorf("%w: patch is not a JSON object: %v", ErrInvalid, err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	data, err = json.Marshal(mergeAny(m, p, 0))
	if err != nil {
		return nil, err
	}
	return DecodeObject(data)
}

func mergeAny(target any, patch map[string]any, depth int) map[string]any {
	t, _ := target.(map[string]any)
	if t == nil {
		t = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(t, k)
		case map[string]any:
			if depth == 0 && k == "status" {
				t[k] = mergeStatus(t[k], v)
			} else {
				t[k] = mergeAny(t[k], v, depth+1)
			}
		default:
			t[k] = v
		}
	}
	return t
}

func mergeStatus(target any, patch map[string]any) map[string]any {
	rest := map[string]any{}
	for k, v := range patch {
		rest[k] = v
	}
	conditions, ok := patch["conditions"].([]any)
	if ok {
		delete(rest, "conditions")
	}
	t := mergeAny(target, rest, 1)
	if !ok {
		return t
	}
	have, _ := t["conditions"].([]any)
	out := append([]any{}, have...)
	for _, c := range conditions {
		cm, _ := c.(map[string]any)
		at := -1
		for i := range out {
			if om, _ := out[i].(map[string]any); om != nil && om["type"] == cm["type"] {
				at = i
			}
		}
		switch {
		case cm["$patch"] == "delete":
			if at >= 0 {
				out = append(out[:at], out[at+1:]...)
			}
		case at >= 0:
			out[at] = c
		default:
			out = append(out, c)
		}
	}
	t["conditions"] = out
	return t
}
