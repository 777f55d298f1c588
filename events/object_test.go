package events_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"github.com/reckon-project/reckon/events"
)

// EncodeObject and DecodeObject agree with encoding/json and Kubernetes'
// decoder on random objects of every kind.
func TestEncodeAndDecodeEveryKind(t *testing.T) {
	for n, gvk := range storable() {
		f := filler(int64(1000 + n))
		for range 5 {
			obj := random(t, f, gvk)
			obj.(metav1.Object).SetResourceVersion("7")
			before := obj.DeepCopyObject()
			data, err := events.EncodeObject(obj)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(obj, before) {
				t.Fatalf("%s: EncodeObject changed its argument", gvk)
			}
			without := obj.DeepCopyObject()
			without.(metav1.Object).SetResourceVersion("")
			if want := jsonOf(without); !bytes.Equal(canonical(data), canonical(want)) {
				t.Fatalf("%s\ngot  %s\nwant %s", gvk, data, want)
			}
			got, err := events.DecodeObject(data)
			if err != nil {
				t.Fatal(err)
			}
			want := reflect.New(reflect.TypeOf(obj).Elem()).Interface()
			if err := kjson.UnmarshalCaseSensitivePreserveInts(data, want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\ngot  %s\nwant %s", gvk, jsonOf(got), jsonOf(want))
			}
		}
	}
}

func TestDecodeIsCaseSensitive(t *testing.T) {
	pod := decode(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","Labels":{"x":"y"}},"Spec":{"nodeName":"n1"},"spec":{"NodeName":"n2"}}`).(*corev1.Pod)
	if pod.Spec.NodeName != "" || pod.Labels != nil {
		t.Errorf("got %+v", pod)
	}
	patched, err := events.ApplyPatch(pod, []byte(`{"spec":{"nodename":"n1"}}`))
	if err != nil || patched.(*corev1.Pod).Spec.NodeName != "" {
		t.Errorf("got %+v %v", patched, err)
	}
}

func TestEncodeFillsInTheKind(t *testing.T) {
	data, err := events.EncodeObject(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b"}})
	if err != nil || !strings.HasPrefix(string(data), `{"kind":"ConfigMap","apiVersion":"v1"`) {
		t.Errorf("got %s %v", data, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":       `pod`,
		"no kind":       `{"apiVersion":"v1","metadata":{}}`,
		"a list":        `[]`,
		"half":          `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"`,
		"more":          `{"apiVersion":"v1","kind":"Pod"}x`,
		"key twice":     `{"apiVersion":"v1","kind":"Pod","spec":{},"spec":{}}`,
		"wrong type":    `{"apiVersion":"v1","kind":"Pod","metadata":{"name":1}}`,
		"overflow":      `{"apiVersion":"v1","kind":"Pod","spec":{"priority":99999999999}}`,
		"fraction":      `{"apiVersion":"v1","kind":"Pod","spec":{"priority":1.5}}`,
		"custom, naked": `{"apiVersion":"example.com/v1","kind":"Widget"}`,
		"custom, twice": `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{},"a":1,"a":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			if obj, err := events.DecodeObject([]byte(data)); !errors.Is(err, events.ErrInvalid) {
				t.Errorf("got %v %v", obj, err)
			}
		})
	}
}

func TestCustomResourcesKeepTheirNumbers(t *testing.T) {
	u := decode(t, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"i":9007199254740993,"f":1.5,"e":1e3}`).(*unstructured.Unstructured)
	if u.Object["i"] != int64(9007199254740993) || u.Object["f"] != 1.5 || u.Object["e"] != 1000.0 {
		t.Errorf("got %v", u.Object)
	}
}

// What a patch can't say travels as a whole object.
func TestDiffFallsBack(t *testing.T) {
	const widget = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"status":{"conditions":[{"type":"A"},{"type":"B"}]}}`
	for name, c := range map[string]struct{ from, to, patch string }{
		"nothing":          {`"w"`, `"w"`, `{}`},
		"null":             {`{"name":"w"},`, `{"name":"w"},"a":null,`, ""},
		"null within":      {`{"name":"w"},`, `{"name":"w"},"a":{"b":[{"c":null}],"d":{"e":null}},`, ""},
		"null in a list":   {`{"name":"w"},`, `{"name":"w"},"a":[null],`, `{"a":[null]}`},
		"new order":        {`{"type":"A"},{"type":"B"}`, `{"type":"B"},{"type":"A"}`, ""},
		"type twice":       {`{"type":"A"},{"type":"B"}`, `{"type":"B"},{"type":"B"}`, ""},
		"no type":          {`{"type":"A"},{"type":"B"}`, `{"a":"B"}`, ""},
		"one removed":      {`{"type":"A"},{"type":"B"}`, `{"type":"B"}`, `{"status":{"conditions":[{"type":"A","$patch":"delete"}]}}`},
		"one added":        {`{"type":"A"},{"type":"B"}`, `{"type":"A"},{"type":"B"},{"type":"C"}`, `{"status":{"conditions":[{"type":"C"}]}}`},
		"one changed":      {`{"type":"A"},{"type":"B"}`, `{"type":"A","x":1},{"type":"B"}`, `{"status":{"conditions":[{"type":"A","x":1}]}}`},
		"added in between": {`{"type":"A"},{"type":"B"}`, `{"type":"A"},{"type":"C"},{"type":"B"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			data, contentType, err := events.Diff(decode(t, widget), decode(t, strings.Replace(widget, c.from, c.to, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if (contentType == events.ContentObject) != (c.patch == "") || c.patch != "" && string(data) != c.patch {
				t.Errorf("%s %s", contentType, data)
			}
		})
	}
}
