package events

import (
	"fmt"
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is the state of one object after some of its events. It is immutable.
type Object struct {
	Key Key
	// Value is a k8s.io/api struct pointer, or *unstructured.Unstructured for a
	// kind outside Scheme. Its metadata.resourceVersion is Version. It is nil
	// for a tombstone: an object that was deleted (or never existed).
	Value runtime.Object
	// Version is the sequence of the last event, decision or fact, that the
	// fold took in.
	Version uint64
	// Decision is the last sequence on the object's log. subject, void or not:
	// what the next decision expects. It survives deletion.
	Decision uint64
	// Counters holds the last counter folded of each reporter.
	Counters Counters
}

// Exists reports whether there is an object (nil-safe; false for a tombstone).
func (o *Object) Exists() bool { return o != nil && o.Value != nil }

// Meta gives the object's metadata; it panics on a tombstone.
func (o *Object) Meta() metav1.Object { return o.Value.(metav1.Object) }

// DecodeObject decodes a whole object in its API version into its struct when
// Scheme knows the kind, and into *unstructured.Unstructured otherwise. Field
// names are case-sensitive and unknown ones ignored, as in Kubernetes; a name
// that comes twice in one JSON object is refused.
func DecodeObject(data []byte) (runtime.Object, error) { return decodeObject(data, false) }

// DecodeShared is DecodeObject for a value that nobody will write to: it shares
// with other such values the parts that are the same.
func DecodeShared(data []byte) (runtime.Object, error) { return decodeObject(data, true) }

func decodeObject(data []byte, share bool) (runtime.Object, error) {
	s := scanner{data: data, in: interners.Get().(*interner), share: share}
	defer interners.Put(s.in)
	kind, err := s.kind()
	if err != nil {
		return nil, err
	}
	sh, err := kind.shape()
	if err != nil {
		return nil, err
	}
	if sh == nil {
		m, err := s.valueMap()
		if err == nil {
			err = s.end()
		}
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", kind, err)
		}
		u := &unstructured.Unstructured{Object: m}
		return u, checkUnstructured(u)
	}
	v := reflect.New(sh.typ)
	if err = s.decode(sh, v.Elem()); err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", kind, err)
	}
	return v.Interface().(runtime.Object), nil
}

// EncodeObject encodes a whole object for the log: JSON with apiVersion and
// kind, without metadata.resourceVersion (the log's sequence is that). The same
// value gives the same bytes; obj is not changed.
func EncodeObject(obj runtime.Object) ([]byte, error) { return encodeObject(obj, nil) }

// Encoder encodes many objects that nobody writes to: what they share is
// encoded once. Its memory is bounded; it isn't safe for concurrent use.
type Encoder struct{ texts texts }

// Encode is EncodeObject.
func (e *Encoder) Encode(obj runtime.Object) ([]byte, error) { return encodeObject(obj, &e.texts) }

func encodeObject(obj runtime.Object, texts *texts) ([]byte, error) {
	if _, ok := obj.(metav1.Object); !ok {
		return nil, fmt.Errorf("%w: %T has no metadata", ErrInvalid, obj)
	}
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return encodeUnstructured(u)
	}
	old := reflect.ValueOf(obj)
	if old.Kind() != reflect.Pointer || old.IsNil() {
		return nil, fmt.Errorf("%w: can't encode a %T", ErrInvalid, obj)
	}
	c := reflect.New(old.Type().Elem())
	c.Elem().Set(old.Elem())
	obj = c.Interface().(runtime.Object)
	obj.(metav1.Object).SetResourceVersion("")
	if obj.GetObjectKind().GroupVersionKind().Empty() {
		kinds, _, err := Scheme.ObjectKinds(obj)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		obj.GetObjectKind().SetGroupVersionKind(kinds[0])
	}
	e := encoder{buf: make([]byte, 0, 1024), texts: texts}
	if err := e.value(shapeOf(c.Type().Elem()), c.Elem()); err != nil {
		return nil, err
	}
	return e.buf, nil
}

func encodeUnstructured(u *unstructured.Unstructured) ([]byte, error) {
	if err := checkUnstructured(u); err != nil {
		return nil, err
	}
	root := maps.Clone(u.Object)
	metadata := maps.Clone(root["metadata"].(map[string]any))
	delete(metadata, "resourceVersion")
	root["metadata"] = metadata
	return appendValue(make([]byte, 0, 1024), root)
}
