package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// converter goes between the form registries work with (internal types) and
// the one the projection holds (the storage version, as k8s.io/api structs or
// unstructured). What served gives shares nothing with what it was given.
type converter interface {
	// stored gives the value to write. It may share memory with obj: it is to be
	// read, and not longer than the write takes.
	stored(obj runtime.Object) (runtime.Object, error)
	// served gives a value at a version as registries want it.
	served(value runtime.Object, version uint64) (runtime.Object, error)
	// servedInto is served into an object that the caller made.
	servedInto(value runtime.Object, version uint64, into runtime.Object) error
}

func newConverter(o Options) converter {
	if o.NewFunc != nil && o.EncodeVersioner != nil {
		obj := o.NewFunc()
		if _, unstructured := obj.(runtime.Unstructured); !unstructured {
			for _, s := range o.Schemes {
				if _, _, err := s.ObjectKinds(obj); err == nil {
					return direct{scheme: s, to: o.EncodeVersioner}
				}
			}
		}
	}
	return byCodec{codec: o.Codec}
}

var versioner storage.APIObjectVersioner

// byCodec converts with nothing but the codec, by way of JSON.
type byCodec struct{ codec runtime.Codec }

func (c byCodec) stored(obj runtime.Object) (runtime.Object, error) {
	data, err := runtime.Encode(c.codec, obj)
	if err != nil {
		return nil, err
	}
	return events.DecodeObject(bytes.TrimSpace(data))
}

func (c byCodec) served(value runtime.Object, version uint64) (runtime.Object, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	obj, err := runtime.Decode(c.codec, data)
	if err != nil {
		return nil, err
	}
	return obj, versioner.UpdateObject(obj, version)
}

func (c byCodec) servedInto(value runtime.Object, version uint64, into runtime.Object) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := zero(into); err != nil {
		return err
	}
	if _, _, err := c.codec.Decode(data, nil, into); err != nil {
		return err
	}
	return versioner.UpdateObject(into, version)
}

// zero empties an object that is about to be decoded into, but leaves an
// unstructured one its kind: its decoder may need that.
func zero(into runtime.Object) error {
	if u, ok := into.(*unstructured.Unstructured); ok {
		gvk := u.GroupVersionKind()
		u.Object = map[string]any{}
		if !gvk.Empty() {
			u.SetGroupVersionKind(gvk)
		}
		return nil
	}
	return runtime.SetZeroValue(into)
}

// direct converts between the structs themselves.
type direct struct {
	scheme *runtime.Scheme
	to     runtime.GroupVersioner
}

func (d direct) stored(obj runtime.Object) (runtime.Object, error) {
	value, err := d.scheme.UnsafeConvertToVersion(obj, d.to)
	if err != nil {
		return nil, err
	}
	if _, _, err := events.Scheme.ObjectKinds(value); err == nil {
		return value, nil
	}
	// A version that the fold keeps unstructured has to be compared as that.
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return events.DecodeObject(data)
}

func (d direct) served(value runtime.Object, version uint64) (runtime.Object, error) {
	value = value.DeepCopyObject()
	d.scheme.Default(value)
	obj, err := d.scheme.UnsafeConvertToVersion(value, runtime.InternalGroupVersioner)
	if err != nil {
		return nil, err
	}
	return obj, versioner.UpdateObject(obj, version)
}

func (d direct) servedInto(value runtime.Object, version uint64, into runtime.Object) error {
	obj, err := d.served(value, version)
	if err != nil {
		return err
	}
	from, to := reflect.ValueOf(obj), reflect.ValueOf(into)
	if from.Type() != to.Type() {
		return fmt.Errorf("%w: read into %T, the object is %T", events.ErrInvalid, into, obj)
	}
	to.Elem().Set(from.Elem())
	return nil
}
