package events_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// What Classify sees in structs is what it would see in their JSON, for all
// kinds: between random objects, and between versions that share most.
func TestChangesAreThoseOfTheJSON(t *testing.T) {
	for i, gvk := range storable() {
		f := filler(int64(i))
		for range 4 {
			a, b := random(t, f, gvk), random(t, f, gvk)
			compareChanges(t, a, b)
			compareChanges(t, a, a.DeepCopyObject())
			mixed := mix(t, a, b)
			compareChanges(t, a, mixed)
			compareChanges(t, mixed, a)
		}
	}
}

func compareChanges(t *testing.T, old, next runtime.Object) {
	t.Helper()
	if got, want := events.ChangesTwice(old, next); !slices.Equal(got, want) {
		t.Fatalf("%T:\ngot  %q\nwant %q", old, got, want)
	}
}

// mix gives a with the metadata of b, or b with the metadata of a's.
func mix(t *testing.T, a, b runtime.Object) runtime.Object {
	t.Helper()
	ua, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a)
	if err != nil {
		t.Fatal(err)
	}
	ub, err := runtime.DefaultUnstructuredConverter.ToUnstructured(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range ub {
			if !yield(name) {
				return
			}
		}
	}) {
		if i%2 == 0 && name != "apiVersion" && name != "kind" {
			ua[name] = ub[name]
		}
	}
	data, err := events.EncodeObject(&unstructured.Unstructured{Object: ua})
	if err != nil {
		t.Fatal(err)
	}
	out, err := events.DecodeObject(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
