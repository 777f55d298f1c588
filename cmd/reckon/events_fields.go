package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// fieldsShown is how many changed fields one line names.
const fieldsShown = 5

// changedFields says what a patch did, for an event that says no more itself:
// "readyReplicas 2 → 3, Available is True".
func changedFields(c projections.Change) string {
	if c.Event.ContentType != events.ContentPatch {
		return ""
	}
	var patch map[string]any
	if err := json.Unmarshal(c.Event.Data, &patch); err != nil {
		return "data is not JSON"
	}
	f := fieldList{}
	f.walk("", patch, fields(c.Old))
	slices.SortStableFunc(f.lines, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	if more := len(f.lines) - fieldsShown; more > 0 {
		f.lines = append(f.lines[:fieldsShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(f.lines, ", ")
}

// rank puts what people look for first.
func rank(line string) string {
	for i, prefix := range []string{"phase", "readyReplicas", "replicas", "updatedReplicas", "availableReplicas", "restarts"} {
		if strings.HasPrefix(line, prefix) {
			return fmt.Sprint(i)
		}
	}
	return "9"
}

// fields is an object as a map; empty where there is none.
func fields(o *events.Object) map[string]any {
	if !o.Exists() {
		return nil
	}
	data, err := json.Marshal(o.Value)
	if err != nil {
		return nil
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return nil
	}
	return m
}

type fieldList struct{ lines []string }

func (f *fieldList) walk(prefix string, patch, old map[string]any) {
	keys := make([]string, 0, len(patch))
	for k := range patch {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		name, value := prefix+k, patch[k]
		switch {
		case k == "observedGeneration" || name == "metadata.managedFields" || name == "metadata.generation":
			continue // bookkeeping
		case name == "status.conditions":
			f.conditions(value, old[k])
			continue
		case name == "status.containerStatuses":
			f.containers(value, old[k])
			continue
		}
		switch v := value.(type) {
		case map[string]any:
			inner, _ := old[k].(map[string]any)
			f.walk(name+".", v, inner)
		case []any:
			if !same(v, old[k]) {
				f.add(name + " changed")
			}
		case nil:
			if _, had := old[k]; had {
				f.add(name + " removed")
			}
		default:
			switch was, had := old[k]; {
			case had && same(was, v):
			case had:
				f.add(fmt.Sprintf("%s %v → %v", name, was, v))
			default:
				f.add(fmt.Sprintf("%s %v", name, v))
			}
		}
	}
}

func (f *fieldList) add(line string) {
	f.lines = append(f.lines, strings.TrimPrefix(line, "status."))
}

// conditions names those whose status changed.
func (f *fieldList) conditions(patch, old any) {
	was := map[string]any{}
	for _, c := range objectsOf(old) {
		was[fmt.Sprint(c["type"])] = c["status"]
	}
	for _, c := range objectsOf(patch) {
		if kind := fmt.Sprint(c["type"]); c["status"] != nil && was[kind] != c["status"] {
			f.add(fmt.Sprintf("%s is %v", kind, c["status"]))
		}
	}
}

// containers names those that became ready or not, or restarted.
func (f *fieldList) containers(patch, old any) {
	was := map[string]map[string]any{}
	for _, c := range objectsOf(old) {
		was[fmt.Sprint(c["name"])] = c
	}
	for _, c := range objectsOf(patch) {
		name := fmt.Sprint(c["name"])
		before := was[name]
		if before != nil && !same(before["restartCount"], c["restartCount"]) {
			f.add(fmt.Sprintf("restarts of %s %v → %v", name, before["restartCount"], c["restartCount"]))
		}
	}
}

func objectsOf(list any) []map[string]any {
	var out []map[string]any
	items, _ := list.([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
