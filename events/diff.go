package events

import (
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
)

// Diff says what turns old into new: a patch for ApplyPatch and ContentPatch,
// or, where a patch can't say it (an explicit null in a custom resource,
// conditions without unique types or in a new order), the whole new object and
// ContentObject. metadata.resourceVersion is not compared. An empty patch is
// "{}". Both values must be of one kind.
func Diff(old, new runtime.Object) (data []byte, contentType string, err error) {
	o, err := toMap(old)
	if err != nil {
		return nil, "", err
	}
	n, err := toMap(new)
	if err != nil {
		return nil, "", err
	}
	data, err = json.Marshal(diffMap(o, n, 0))
	if err != nil {
		return nil, "", err
	}
	return data, ContentPatch, nil
}

func toMap(v runtime.Object) (map[string]any, error) {
	data, err := EncodeObject(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(data, &m)
}

func diffMap(old, new map[string]any, depth int) map[string]any {
	patch := map[string]any{}
	for k := range old {
		if _, ok := new[k]; !ok {
			patch[k] = nil
		}
	}
	for k, n := range new {
		o, ok := old[k]
		if ok && reflect.DeepEqual(o, n) {
			continue
		}
		om, isOld := o.(map[string]any)
		nm, isNew := n.(map[string]any)
		if isOld && isNew {
			patch[k] = diffMap(om, nm, depth+1)
			continue
		}
		patch[k] = n
	}
	if conditions, ok := new["conditions"].([]any); ok && depth == 1 && patch["conditions"] != nil {
		have, _ := old["conditions"].([]any)
		var gone []any
		for _, o := range have {
			found := false
			for _, n := range conditions {
				if o.(map[string]any)["type"] == n.(map[string]any)["type"] {
					found = true
				}
			}
			if !found {
				gone = append(gone, map[string]any{"type": o.(map[string]any)["type"], "$patch": "delete"})
			}
		}
		patch["conditions"] = append(gone, conditions...)
	}
	return patch
}
