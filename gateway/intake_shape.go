package gateway

import (
	"encoding/binary"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shapeOf says which fields an object sets: two objects of one shape that one
// manager creates get the same managed fields. Beside the fields that are there it
// holds all keys of maps and, of elements of lists, the values, since these may be
// keys too; few values of elements are known not to be (an environment variable's,
// an image). It is false for what it doesn't know.
func shapeOf(object any) (string, bool) {
	s := shape{b: make([]byte, 0, 1024), known: true}
	s.add(reflect.ValueOf(object), false)
	return string(s.b), s.known
}

type shape struct {
	b     []byte
	known bool
}

const (
	isNil  = 0
	isZero = 1
	isSet  = 2
)

// leaves are written as one value.
var leaves = map[reflect.Type]bool{
	reflect.TypeFor[resource.Quantity](): true, reflect.TypeFor[intstr.IntOrString](): true,
	reflect.TypeFor[metav1.Time](): true, reflect.TypeFor[metav1.MicroTime](): true,
}

// noKeys are the fields of lists' elements that identify none of them.
var noKeys = map[string]bool{"Value": true, "Image": true, "ImagePullPolicy": true}

// add appends what v sets. element says that v is in an element of a list itself,
// not in a struct within.
func (s *shape) add(v reflect.Value, element bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			s.b = append(s.b, isNil)
			return
		}
		s.b = append(s.b, isSet)
		s.add(v.Elem(), element)
	case reflect.Struct:
		s.addStruct(v, element)
	case reflect.Slice:
		s.addLength(v)
		for i := range v.Len() {
			s.add(v.Index(i), true)
		}
	case reflect.Map:
		s.addMap(v)
	case reflect.String:
		if !element {
			s.presence(v)
			return
		}
		s.text(v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if !element {
			s.presence(v)
			return
		}
		s.b = binary.AppendVarint(s.b, v.Int())
	case reflect.Uint8:
		s.b = append(s.b, byte(v.Uint()))
	case reflect.Bool:
		s.presence(v)
	default:
		s.known = false
	}
}

func (s *shape) addStruct(v reflect.Value, element bool) {
	t := v.Type()
	if leaves[t] {
		s.presence(v)
		return
	}
	for i := range t.NumField() {
		f, value := t.Field(i), v.Field(i)
		scalar := value.Kind() != reflect.Struct || f.Anonymous
		s.add(value, element && scalar && !noKeys[f.Name])
	}
}

func (s *shape) addMap(v reflect.Value) {
	s.addLength(v)
	if v.Len() == 0 {
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		s.known = false
		return
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	for _, k := range keys {
		s.text(k.String())
		s.add(v.MapIndex(k), false)
	}
}

func (s *shape) addLength(v reflect.Value) {
	if v.IsNil() {
		s.b = append(s.b, isNil)
		return
	}
	s.b = binary.AppendUvarint(append(s.b, isSet), uint64(v.Len()))
}

func (s *shape) text(text string) {
	s.b = append(binary.AppendUvarint(s.b, uint64(len(text))), text...)
}

func (s *shape) presence(v reflect.Value) {
	if v.IsZero() {
		s.b = append(s.b, isZero)
		return
	}
	s.b = append(s.b, isSet)
}
