package events

import (
	"bytes"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// equal reports whether two values give the same JSON.
func equal(sh *shape, a, b reflect.Value) bool {
	switch sh.sort {
	case sortStruct:
		for i := range sh.fields {
			f := &sh.fields[i]
			fa, fb := f.of(a), f.of(b)
			absentA, absentB := f.absent(fa), f.absent(fb)
			if absentA != absentB {
				return false
			}
			if !absentA && !equal(f.shape, fa, fb) {
				return false
			}
		}
		return true
	case sortPointer:
		if a.IsNil() || b.IsNil() || a.Pointer() == b.Pointer() {
			return a.Pointer() == b.Pointer()
		}
		return equal(sh.elem, a.Elem(), b.Elem())
	case sortList:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.Pointer() == b.Pointer() {
			return true
		}
		for i := range a.Len() {
			if !equal(sh.elem, a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case sortMap, sortStringMap:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.Pointer() == b.Pointer() {
			return true
		}
		for it := a.MapRange(); it.Next(); {
			other := b.MapIndex(it.Key())
			if !other.IsValid() || !equal(sh.elem, addressable(it.Value()), addressable(other)) {
				return false
			}
		}
		return true
	case sortString:
		return a.String() == b.String()
	case sortBytes:
		return a.IsNil() == b.IsNil() && bytes.Equal(a.Bytes(), b.Bytes())
	case sortTime:
		ta := addressable(a).Addr().Interface().(*metav1.Time)
		tb := addressable(b).Addr().Interface().(*metav1.Time)
		return ta.IsZero() == tb.IsZero() && (ta.IsZero() || ta.Unix() == tb.Unix())
	case sortOpaque:
		if identical(a, b) {
			return true
		}
		ja, errA := json.Marshal(addressable(a).Addr().Interface())
		jb, errB := json.Marshal(addressable(b).Addr().Interface())
		return errA == nil && errB == nil && bytes.Equal(ja, jb)
	}
	return a.Equal(b)
}

// identical reports whether two values of a type with its own JSON methods are
// surely the same, which is cheaper to see than that their JSON is.
func identical(a, b reflect.Value) bool {
	if !a.CanAddr() || !b.CanAddr() {
		return false
	}
	switch a := a.Addr().Interface().(type) {
	case *resource.Quantity:
		return *a == *b.Addr().Interface().(*resource.Quantity)
	case *intstr.IntOrString:
		return *a == *b.Addr().Interface().(*intstr.IntOrString)
	case *metav1.FieldsV1:
		return bytes.Equal(a.GetRawBytes(), b.Addr().Interface().(*metav1.FieldsV1).GetRawBytes())
	}
	return false
}
