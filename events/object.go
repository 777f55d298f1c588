package events

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	// Counters holds the last counter folded, by reporter.
	Counters map[string]Counter
}

// Exists reports whether there is an object (nil-safe; false for a tombstone).
func (o *Object) Exists() bool { return o != nil && o.Value != nil }

// Meta gives the object's metadata; it panics on a tombstone.
func (o *Object) Meta() metav1.Object { return o.Value.(metav1.Object) }

// DecodeObject decodes a whole object in its API version into its struct when
// Scheme knows the kind, and into *unstructured.Unstructured otherwise.
func DecodeObject(data []byte) (runtime.Object, error) {
	var tm metav1.TypeMeta
	if err := json.Unmarshal(data, &tm); err != nil {
		return nil, fmt.Errorf("%w: object is not JSON: %v", ErrInvalid, err)
	}
	gvk := schema.FromAPIVersionAndKind(tm.APIVersion, tm.Kind)
	if gvk.Kind == "" || gvk.Version == "" {
		return nil, fmt.Errorf("%w: object lacks apiVersion or kind", ErrInvalid)
	}
	if !Scheme.Recognizes(gvk) {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("%w: decode %s: %v", ErrInvalid, gvk, err)
		}
		return u, nil
	}
	obj, err := Scheme.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := json.Unmarshal(data, obj); err != nil {
		return nil, fmt.Errorf("%w: decode %s: %v", ErrInvalid, gvk, err)
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj, nil
}

// EncodeObject encodes a whole object for the log: JSON with apiVersion and
// kind, without metadata.resourceVersion (the log's sequence is that).
func EncodeObject(obj runtime.Object) ([]byte, error) {
	m, ok := obj.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%w: %T has no metadata", ErrInvalid, obj)
	}
	if m.GetResourceVersion() != "" {
		obj = obj.DeepCopyObject()
		obj.(metav1.Object).SetResourceVersion("")
	}
	if gvk := obj.GetObjectKind().GroupVersionKind(); gvk.Kind == "" {
		kinds, _, err := Scheme.ObjectKinds(obj)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		obj = obj.DeepCopyObject()
		obj.GetObjectKind().SetGroupVersionKind(kinds[0])
	}
	return json.Marshal(obj)
}
