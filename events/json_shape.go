package events

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sort is how a Go type looks in JSON.
type sort uint8

const (
	sortOpaque    sort = iota // left to encoding/json: types with their own methods
	sortStruct                // an object of known fields
	sortPointer               // its element, or null
	sortList                  // a list
	sortMap                   // an object of any keys
	sortStringMap             // map[string]string, exactly
	sortString
	sortBytes // base64
	sortBool
	sortInt
	sortUint
	sortFloat
	sortTime // metav1.Time
)

// shape is a Go type compiled for reading and writing JSON. Shapes are made
// once per type and shared.
type shape struct {
	typ    reflect.Type
	id     uint64 // another for each shape
	sort   sort
	elem   *shape // of pointers, lists and maps
	fields []field
	byName map[string]*field
	sorted []int // fields by name
}

// field is one JSON field of a struct, promoted ones of embedded structs included.
type field struct {
	name      string
	prefix    []byte // "name":
	index     []int
	bit       int // position in fields
	shape     *shape
	omitEmpty bool
	omitZero  bool
	isZeroer  bool
}

// field finds a field by name. Data mostly comes in the order of the fields:
// next, where the last search ended, is where this one begins.
func (sh *shape) field(name []byte, next *int) *field {
	for i := *next; i < len(sh.fields) && i < *next+4; i++ {
		if sh.fields[i].name == string(name) {
			*next = i + 1
			return &sh.fields[i]
		}
	}
	f := sh.byName[string(name)]
	if f != nil {
		*next = f.bit + 1
	}
	return f
}

// of gives the field's slot in the struct v.
func (f *field) of(v reflect.Value) reflect.Value {
	if len(f.index) == 1 {
		return v.Field(f.index[0])
	}
	return v.FieldByIndex(f.index)
}

// absent reports whether a field of this value is left out of the JSON.
func (f *field) absent(v reflect.Value) bool {
	if f.omitEmpty && isEmpty(v) {
		return true
	}
	if !f.omitZero {
		return false
	}
	if f.isZeroer {
		return addressable(v).Addr().Interface().(interface{ IsZero() bool }).IsZero()
	}
	return v.IsZero()
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

var (
	shapes     sync.Map // reflect.Type → *shape, complete ones
	compileMu  sync.Mutex
	compiling  = map[reflect.Type]*shape{}
	timeType   = reflect.TypeFor[metav1.Time]()
	stringsMap = reflect.TypeFor[map[string]string]()
	opaqueBy   = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

// shapeOf gives the shape of a type.
func shapeOf(t reflect.Type) *shape {
	if sh, ok := shapes.Load(t); ok {
		return sh.(*shape)
	}
	compileMu.Lock()
	defer compileMu.Unlock()
	sh := compile(t)
	shapes.Store(t, sh)
	return sh
}

func compile(t reflect.Type) *shape {
	if sh := compiling[t]; sh != nil {
		return sh // a type within itself, or done before
	}
	sh := &shape{typ: t, id: uint64(len(compiling) + 1)}
	compiling[t] = sh
	if t == timeType {
		sh.sort = sortTime
		return sh
	}
	for _, i := range opaqueBy {
		if reflect.PointerTo(t).Implements(i) {
			return sh
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		if compileFields(sh, t, nil) {
			sh.sort = sortStruct
			sh.byName = make(map[string]*field, len(sh.fields))
			for i := range sh.fields {
				sh.fields[i].bit = i
				sh.byName[sh.fields[i].name] = &sh.fields[i]
				sh.sorted = append(sh.sorted, i)
			}
			slices.SortFunc(sh.sorted, func(a, b int) int { return strings.Compare(sh.fields[a].name, sh.fields[b].name) })
		}
	case reflect.Pointer:
		sh.sort, sh.elem = sortPointer, compile(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			sh.sort = sortBytes
		} else {
			sh.sort, sh.elem = sortList, compile(t.Elem())
		}
	case reflect.Map:
		if t == stringsMap {
			sh.sort, sh.elem = sortStringMap, compile(t.Elem())
		} else if t.Key().Kind() == reflect.String {
			sh.sort, sh.elem = sortMap, compile(t.Elem())
		}
	case reflect.String:
		sh.sort = sortString
	case reflect.Bool:
		sh.sort = sortBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		sh.sort = sortInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		sh.sort = sortUint
	case reflect.Float32, reflect.Float64:
		sh.sort = sortFloat
	}
	return sh
}

// compileFields adds t's fields to sh; false: a layout that is left to encoding/json.
func compileFields(sh *shape, t reflect.Type, at []int) bool {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Tag.Get("json") == "-" {
			continue
		}
		index := append(append([]int(nil), at...), i)
		if sf.Anonymous && name == "" {
			if sf.Type.Kind() != reflect.Struct || compile(sf.Type).sort != sortStruct || !compileFields(sh, sf.Type, index) {
				return false
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		if name == "" {
			name = sf.Name
		}
		f := field{name: name, index: index, prefix: append(appendString(nil, name), ':'), shape: compile(sf.Type)}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
				f.isZeroer = reflect.PointerTo(sf.Type).Implements(reflect.TypeFor[interface{ IsZero() bool }]())
			case "string":
				return false
			}
		}
		for _, other := range sh.fields {
			if other.name == name {
				return false
			}
		}
		if len(sh.fields) == maxFields {
			return false
		}
		sh.fields = append(sh.fields, f)
	}
	return true
}

// maxFields is how many fields of one struct a seen can tell apart.
const maxFields = 256

// seen finds a key that comes twice in one JSON object. RFC 8259 leaves open
// what that means, so it is refused.
type seen [maxFields / 64]uint64

func (s *seen) twice(f *field) bool {
	i, bit := f.bit/64, uint64(1)<<(f.bit%64)
	if s[i]&bit != 0 {
		return true
	}
	s[i] |= bit
	return false
}
