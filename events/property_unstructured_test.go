package events_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/events"
)

// drawValue draws JSON as custom resources hold it, with few keys, so that two
// draws meet.
func drawValue(t *rapid.T, depth int) any {
	kinds := 6
	if depth > 0 {
		kinds = 8
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return rapid.Float64Range(0.1, 1e6).Draw(t, "float")
	case 4, 5, 6:
		return rapid.SampledFrom([]string{"", "a", "ü", "<&>", "\x00\n\"", "\u2028"}).Draw(t, "string")
	case 7:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "len") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	return drawMap(t, depth)
}

func drawMap(t *rapid.T, depth int) map[string]any {
	m := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "keys") {
		m[rapid.SampledFrom([]string{"a", "b", "c", "type", "conditions", "status", "$patch", "ü"}).Draw(t, "key")] = drawValue(t, depth-1)
	}
	return m
}

func drawObject(t *rapid.T) *unstructured.Unstructured {
	m := drawMap(t, 3)
	status := drawMap(t, 2)
	if rapid.Bool().Draw(t, "conditions") {
		list := []any{}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B", "C"}), 0, 3).Draw(t, "types") {
			list = append(list, map[string]any{"type": name, "status": drawValue(t, 1)})
		}
		status["conditions"] = list
	}
	m["status"], m["spec"] = status, drawMap(t, 2)
	m["apiVersion"], m["kind"] = "example.com/v1", "Widget"
	m["metadata"] = map[string]any{"name": "w", "labels": drawMap(t, 0)}
	return &unstructured.Unstructured{Object: m}
}

func TestDiffAndApplyPatchOnCustomResources(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		old, next := drawObject(r), drawObject(r)
		oldCopy, nextCopy := old.DeepCopy(), next.DeepCopy()
		data, contentType, err := events.Diff(old, next)
		if err != nil {
			r.Fatal(err)
		}
		if contentType == events.ContentObject {
			got, err := events.DecodeObject(data)
			if err != nil || !sameJSON(got, next) {
				r.Fatalf("%v\n%s", err, data)
			}
			return
		}
		got, err := events.ApplyPatch(old, data)
		if err != nil {
			r.Fatalf("%v\n%s", err, data)
		}
		if !sameJSON(got, next) {
			r.Fatalf("%s\nold  %s\ngot  %s\nwant %s", data, jsonOf(old), jsonOf(got), jsonOf(next))
		}
		if want := plainMerge(t, jsonOf(old), data); !bytes.Equal(canonical(want), canonical(jsonOf(got))) {
			r.Fatalf("the plain merge disagrees: %s\n%s", data, want)
		}
		if !reflect.DeepEqual(old, oldCopy) || !reflect.DeepEqual(next, nextCopy) {
			r.Fatal("an argument was changed")
		}
	})
}

func jsonOf(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func canonical(data []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return jsonOf(v)
}

func sameJSON(a, b any) bool { return bytes.Equal(canonical(jsonOf(a)), canonical(jsonOf(b))) }

// FuzzApplyPatch: no patch panics or changes the old value; what is taken for a
// custom resource is what RFC 7386 says, and what is taken for a pod is that,
// read as a pod.
func FuzzApplyPatch(f *testing.F) {
	for _, patch := range []string{smallJSON, scheduledJSON, runningJSON, `{}`, `{"spec":{"a":null,"b":{"c":[1,null]}}}`,
		`{"status":{"conditions":[{"type":"A","$patch":"delete"},{"type":"B"}]}}`, `{"metadata":{"labels":{"app":null,"x":"y"}}}`,
		`{"spec":{"a":1e400}}`, `{"a":"\ud800"}`, `{"spec":{"priority":12345678901}}`} {
		f.Add([]byte(patch))
	}
	const widget = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"a":1,"b":{"x":"y"}},"status":{"conditions":[{"type":"A"},{"type":"B","status":"True"}]}}`
	f.Fuzz(func(t *testing.T, patch []byte) {
		for _, whole := range []string{widget, podJSON} {
			old := decode(t, whole)
			before := old.DeepCopyObject()
			got, err := events.ApplyPatch(old, patch)
			if !reflect.DeepEqual(old, before) {
				t.Fatal("the old value changed")
			}
			if err != nil {
				continue
			}
			if !json.Valid(patch) {
				t.Fatalf("%q is no JSON", patch)
			}
			want := plainMerge(t, jsonOf(old), patch)
			ref, err := events.DecodeObject(want)
			if err != nil {
				t.Fatalf("%v\n%s", err, want)
			}
			if !sameJSON(got, ref) {
				t.Fatalf("got  %s\nwant %s", jsonOf(got), want)
			}
		}
	})
}
