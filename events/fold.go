package events

import (
	"errors"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Void says why an event had no effect. errors.Is(v, ErrVoid) holds.
type Void struct{ Why string }

func (v *Void) Error() string        { return "void: " + v.Why }
func (v *Void) Is(target error) bool { return target == ErrVoid }

func void(format string, args ...any) error { return &Void{Why: fmt.Sprintf(format, args...)} }

// Fold applies e, whose Sequence must be set, to the object's state (nil: no
// event of it is known) and returns the next state. old is not changed.
//
// An event that makes no sense is void: Fold returns a *Void and a state that
// differs from old in Decision only (decisions count there whether void or not).
// Epochs concern more than one object and are checked by the projection, which
// calls Skip for a fenced event.
//
// The rules are those of the design's section 2: created (and joined with a
// whole node) needs that there is no object, everything else that there is one; a decision with IfVersion holds
// only at that version; a fact changes status and nothing else, carries the
// object's uid and a growing counter, and about a pod comes from its own node.
func Fold(old *Object, e *Event) (*Object, error) {
	value, err := foldValue(old, e)
	if err != nil {
		var v *Void
		if !errors.As(err, &v) {
			err = &Void{Why: err.Error()}
		}
		return Skip(old, e), err
	}
	next := Skip(old, e)
	if next == old { // facts don't move Decision: Skip had nothing to copy
		c := *old
		next = &c
	}
	next.Version = e.Sequence
	next.Value = value
	if value == nil {
		next.Counters = nil
		return next, nil
	}
	next.Meta().SetResourceVersion(strconv.FormatUint(e.Sequence, 10))
	if e.Prefix == PrefixFact {
		next.Counters = next.Counters.with(e.Reporter, e.Counter)
	}
	return next, nil
}

// Skip is Fold for an event that has no effect: only the decision sequence moves.
func Skip(old *Object, e *Event) *Object {
	if old == nil {
		old = &Object{Key: e.Key}
	}
	if e.Prefix == PrefixFact {
		return old
	}
	next := *old
	next.Decision = e.Sequence
	return &next
}

// foldValue returns the object's next value: nil after deleted, otherwise a
// value that is not old's, so that Fold may set its resourceVersion.
func foldValue(old *Object, e *Event) (runtime.Object, error) {
	if e.IfVersion != 0 && (old == nil || old.Version != e.IfVersion) {
		at := uint64(0)
		if old != nil {
			at = old.Version
		}
		return nil, void("%s was decided at version %d, the object is at %d", e.Type, e.IfVersion, at)
	}
	switch {
	case creates(e):
		if e.Prefix == PrefixFact {
			return nil, void("a fact can't create %s", e.Key)
		}
		if old.Exists() {
			return nil, void("%s exists already", e.Key)
		}
		if e.ContentType != ContentObject {
			return nil, void("%s carries %q, not a whole object", e.Type, e.ContentType)
		}
	case e.Prefix == PrefixVolatile && e.ContentType == ContentObject:
		// VOLATILE keeps the last event of a subject only, so each is whole.
	case !old.Exists():
		return nil, void("%s doesn't exist", e.Key)
	}
	if e.Prefix == PrefixFact {
		return foldFact(old, e)
	}
	if e.Type == Deleted {
		return nil, nil
	}
	switch e.ContentType {
	case ContentObject:
		value, err := DecodeShared(e.Data)
		if err != nil {
			return nil, err
		}
		return matching(value, e.Key)
	case ContentPatch:
		value, err := applyShared(old.Value, e.Data)
		if err != nil {
			return nil, err
		}
		return matching(value, e.Key)
	case "":
		return ApplyPatch(old.Value, []byte("{}"))
	}
	return nil, void("unknown content type %q", e.ContentType)
}

// creates: a node's creation is called joined.
func creates(e *Event) bool {
	return e.Type == Created || e.Type == Joined && e.ContentType == ContentObject
}

// matching gives value if it has the name that the subject says.
func matching(value runtime.Object, k Key) (runtime.Object, error) {
	m, ok := value.(metav1.Object)
	if !ok {
		return nil, void("%T has no metadata", value)
	}
	if m.GetName() != k.Name || m.GetNamespace() != k.Namespace {
		return nil, void("the object is %s/%s, the subject says %s", m.GetNamespace(), m.GetName(), k)
	}
	return value, nil
}

func foldFact(old *Object, e *Event) (runtime.Object, error) {
	if e.UID == "" {
		return nil, void("a fact must carry the object's uid")
	}
	if uid := string(old.Meta().GetUID()); uid != e.UID {
		return nil, void("reported on uid %s, the object is %s", e.UID, uid)
	}
	if last, ok := old.Counters.Of(e.Reporter); ok && !last.Less(e.Counter) {
		return nil, void("counter %d.%d is not above %d.%d", e.Counter.Incarnation, e.Counter.N, last.Incarnation, last.N)
	}
	if node, ok := boundNode(old.Value); ok && node != e.Reporter {
		return nil, void("%s reports on %s, which is bound to %q", e.Reporter, e.Key, node)
	}
	if e.ContentType != ContentPatch {
		return nil, void("a fact carries a patch of status, not %q", e.ContentType)
	}
	p := patcher{scanner: scanner{data: e.Data, share: true}, fact: true}
	return p.apply(old.Value)
}

// Fenced is the void of an event by a leader that had been replaced.
func Fenced(e *Event, current uint64) error {
	return void("%s was leader since %d, but a newer one leads since %d", e.Component, e.Epoch, current)
}
