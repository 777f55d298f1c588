package events

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kindName is what an object's JSON says it is.
type kindName struct{ apiVersion, kind string }

func (k kindName) String() string { return k.apiVersion + " " + k.kind }

// kind reads apiVersion and kind, no further once it has them, and goes back
// to the beginning.
func (s *scanner) kind() (k kindName, err error) {
	if err := s.open('{'); err != nil {
		return k, err
	}
	for n := 0; k.apiVersion == "" || k.kind == ""; n++ {
		key, more, err := s.nextKey(n)
		if err != nil {
			return k, err
		}
		if !more {
			return k, fmt.Errorf("%w: object lacks apiVersion or kind", ErrInvalid)
		}
		var text []byte
		switch string(key) {
		case "apiVersion":
			text, err = s.text()
			k.apiVersion = s.in.string(text)
		case "kind":
			text, err = s.text()
			k.kind = s.in.string(text)
		default:
			_, err = s.skip()
		}
		if err != nil {
			return k, err
		}
	}
	s.pos, s.depth = 0, 0
	return k, nil
}

var (
	kindShapes atomic.Pointer[map[kindName]*shape] // of Scheme's kinds met so far; replaced, not written
	kindsMu    sync.Mutex
)

// shape gives the shape of a kind that Scheme knows, nil of any other.
func (k kindName) shape() (*shape, error) {
	if known := kindShapes.Load(); known != nil {
		if sh := (*known)[k]; sh != nil {
			return sh, nil
		}
	}
	gvk := schema.FromAPIVersionAndKind(k.apiVersion, k.kind)
	if !Scheme.Recognizes(gvk) {
		return nil, nil
	}
	obj, err := Scheme.New(gvk)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	sh := shapeOf(reflect.TypeOf(obj).Elem())
	kindsMu.Lock()
	defer kindsMu.Unlock()
	next := map[kindName]*shape{}
	if known := kindShapes.Load(); known != nil {
		next = maps.Clone(*known)
	}
	next[k] = sh
	kindShapes.Store(&next)
	return sh, nil
}
