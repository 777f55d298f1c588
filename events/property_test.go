package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/randfill"

	"github.com/reckon-project/reckon/events"
)

// storable are the kinds of Scheme that have metadata.
func storable() []schema.GroupVersionKind {
	var out []schema.GroupVersionKind
	for gvk := range events.Scheme.AllKnownTypes() {
		obj, err := events.Scheme.New(gvk)
		if err != nil || gvk.Version == runtime.APIVersionInternal {
			continue
		}
		if _, ok := obj.(metav1.Object); ok {
			out = append(out, gvk)
		}
	}
	return out
}

func filler(seed int64) *randfill.Filler {
	codecs := serializer.NewCodecFactory(events.Scheme)
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(r *runtime.RawExtension, c randfill.Continue) {
				r.Raw = []byte(fmt.Sprintf(`{"a":%d,"b":{"%d":"x","list":[1,{"n":null}]},"c":1.50}`, c.Intn(3), c.Intn(3)))
			},
			func(r *apiextensionsv1.JSON, c randfill.Continue) {
				r.Raw = []byte([]string{`1`, `"x"`, `{"a":1}`, `{"a":2,"b":{"c":true}}`, `[null,1]`}[c.Intn(5)])
			},
			func(r *apiextensionsv1.JSONSchemaProps, c randfill.Continue) {
				r.Type, r.Title = c.String(5), c.String(5)
				if c.Intn(3) == 0 {
					r.Properties = map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: c.String(3)}, c.String(4): {Required: []string{"x"}}}
					r.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true}
				}
			},
			func(r *metav1.FieldsV1, c randfill.Continue) {
				if err := r.UnmarshalJSON([]byte(fmt.Sprintf(`{"f:a":{"f:%d":{}}}`, c.Intn(4)))); err != nil {
					panic(err)
				}
			},
		}
	})
	return fuzzer.FuzzerFor(funcs, rand.NewSource(seed), codecs).NumElements(0, 3).MaxDepth(12)
}

// random makes an object of the kind as the log would hold it.
func random(t *testing.T, f *randfill.Filler, gvk schema.GroupVersionKind) runtime.Object {
	t.Helper()
	obj, err := events.Scheme.New(gvk)
	if err != nil {
		t.Fatal(err)
	}
	f.Fill(obj)
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return normal(t, obj)
}

// normal is obj after encoding/json and Kubernetes' decoder.
func normal(t *testing.T, obj runtime.Object) runtime.Object {
	t.Helper()
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	out := reflect.New(reflect.TypeOf(obj).Elem()).Interface().(runtime.Object)
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, out); err != nil {
		t.Fatalf("%T: %v", obj, err)
	}
	return out
}

// mutate changes parts of obj: it takes some fields over from other, at any depth.
func mutate(r *rand.Rand, v, other reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || other.IsNil() || v.Elem().Kind() != reflect.Struct {
			break
		}
		mutate(r, v.Elem(), other.Elem())
		return
	case reflect.Struct:
		if _, own := v.Addr().Interface().(json.Marshaler); own {
			break
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && r.Intn(3) == 0 {
				mutate(r, v.Field(i), other.Field(i))
			}
		}
		return
	case reflect.Map:
		if v.IsNil() || r.Intn(2) == 0 {
			break
		}
		for it := other.MapRange(); it.Next(); {
			v.SetMapIndex(it.Key(), it.Value())
		}
		return
	case reflect.Slice:
		if n := min(v.Len(), other.Len()); n > 0 && r.Intn(2) == 0 {
			i := r.Intn(n)
			mutate(r, v.Index(i), other.Index(i))
			return
		}
		if r.Intn(2) == 0 && v.Len() > 0 {
			v.Set(reflect.AppendSlice(v.Slice(0, v.Len()-1), other))
			return
		}
	}
	v.Set(other)
}

func TestDiffAndApplyPatchOnEveryKind(t *testing.T) {
	rounds := 12
	whole, patches := 0, 0
	for n, gvk := range storable() {
		f := filler(int64(n))
		r := rand.New(rand.NewSource(int64(n)))
		for range rounds {
			old, other := random(t, f, gvk), random(t, f, gvk)
			next := old.DeepCopyObject()
			mutate(r, reflect.ValueOf(next).Elem(), reflect.ValueOf(other.DeepCopyObject()).Elem())
			if r.Intn(4) == 0 {
				next = other
			}
			next.GetObjectKind().SetGroupVersionKind(gvk)
			next.(metav1.Object).SetResourceVersion(old.(metav1.Object).GetResourceVersion())
			next = normal(t, next)
			if checkDiff(t, old, next) {
				whole++
			} else {
				patches++
			}
		}
	}
	t.Logf("%d patches, %d whole objects", patches, whole)
	if patches < 10*whole/10 {
		t.Errorf("most changes should be patches: %d patches, %d whole objects", patches, whole)
	}
}

// checkDiff checks the one property that all rests on.
func checkDiff(t *testing.T, old, next runtime.Object) (whole bool) {
	t.Helper()
	oldCopy, nextCopy := old.DeepCopyObject(), next.DeepCopyObject()
	data, contentType, err := events.Diff(old, next)
	if err != nil {
		t.Fatalf("%T: %v", old, err)
	}
	again, _, _ := events.Diff(old, next)
	if !bytes.Equal(data, again) {
		t.Fatalf("%T: two different patches\n%s\n%s", old, data, again)
	}
	var got runtime.Object
	if contentType == events.ContentObject {
		if got, err = events.DecodeObject(data); err == nil {
			got.(metav1.Object).SetResourceVersion(next.(metav1.Object).GetResourceVersion())
		}
	} else {
		got, err = events.ApplyPatch(old, data)
	}
	if err != nil {
		t.Fatalf("%T: %v\n%s", old, err, data)
	}
	if !reflect.DeepEqual(old, oldCopy) || !reflect.DeepEqual(next, nextCopy) {
		t.Fatalf("%T: an argument was changed\n%s", old, data)
	}
	if !apiequality.Semantic.DeepEqual(normal(t, got), normal(t, next)) {
		t.Fatalf("%T: %s\nold  %s\ngot  %s\nwant %s", old, data, encode(t, old), encode(t, got), encode(t, next))
	}
	if contentType == events.ContentObject {
		return true
	}
	for name, want := range map[string][]byte{"plain": plainMerge(t, encode(t, old), data), "library": libraryMerge(t, encode(t, old), data)} {
		ref := reflect.New(reflect.TypeOf(old).Elem()).Interface().(runtime.Object)
		if err := kjson.UnmarshalCaseSensitivePreserveInts(want, ref); err != nil {
			t.Fatal(err)
		}
		if name == "library" && bytes.Contains(encode(t, next), []byte("null")) {
			continue // the library drops nulls within lists, which RFC 7386 doesn't
		}
		if !apiequality.Semantic.DeepEqual(normal(t, got), normal(t, ref)) {
			t.Fatalf("%T: the %s merge disagrees: %s\nold  %s\ngot  %s\nwant %s", old, name, data, encode(t, old), encode(t, got), want)
		}
	}
	return false
}

func encode(t *testing.T, obj runtime.Object) []byte {
	t.Helper()
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plainMerge is RFC 7386 as its text has it, with the rule for conditions.
func plainMerge(t *testing.T, target, patch []byte) []byte {
	t.Helper()
	out, err := json.Marshal(rfc7386(readJSON(t, target), readJSON(t, patch), ""))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readJSON(t *testing.T, data []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func rfc7386(target, patch any, path string) any {
	p, ok := patch.(map[string]any)
	if !ok {
		if list, ok := patch.([]any); ok && path == "/status/conditions" {
			return mergeConditions(target, list)
		}
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = rfc7386(t[k], v, path+"/"+k)
		}
	}
	return t
}

func mergeConditions(target any, patch []any) any {
	out, _ := target.([]any)
next:
	for _, v := range patch {
		entry := v.(map[string]any)
		for i := range out {
			if out[i].(map[string]any)["type"] == entry["type"] {
				if entry["$patch"] == "delete" {
					out = append(out[:i:i], out[i+1:]...)
				} else {
					out[i] = v
				}
				continue next
			}
		}
		if entry["$patch"] == nil {
			out = append(out, v)
		}
	}
	if out == nil {
		return []any{}
	}
	return out
}

// libraryMerge lets a library do all but the conditions.
func libraryMerge(t *testing.T, target, patch []byte) []byte {
	t.Helper()
	p := readJSON(t, patch).(map[string]any)
	if status, ok := p["status"].(map[string]any); ok {
		if list, ok := status["conditions"].([]any); ok {
			old, _ := readJSON(t, target).(map[string]any)["status"].(map[string]any)
			status["conditions"] = mergeConditions(old["conditions"], list)
			var err error
			if patch, err = json.Marshal(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := jsonpatch.MergePatch(target, patch)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryConditionHasAType(t *testing.T) {
	for _, gvk := range storable() {
		obj, err := events.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		patched, err := events.ApplyPatch(obj, []byte(`{"status":{"conditions":[{"type":"A"},{"type":"A"}]}}`))
		if err != nil {
			if strings.Contains(err.Error(), "conditions") {
				t.Errorf("%s: %v", gvk, err)
			}
			continue
		}
		status := reflect.ValueOf(patched).Elem().FieldByName("Status")
		if !status.IsValid() || status.Kind() != reflect.Struct {
			continue
		}
		if list := status.FieldByName("Conditions"); list.IsValid() && list.Len() != 1 {
			t.Errorf("%s: status.conditions is not merged by type", gvk)
		}
	}
}
