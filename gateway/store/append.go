package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// attempt is one try of a write: the object as it is, and what an event about
// it has to expect.
type attempt struct {
	key    events.Key
	object *events.Object // nil: there is none
	expect uint64
	// fresh says that nothing acknowledged before the write is missing from
	// object; without it a refusal may rest on an old state.
	fresh bool
}

func (s *Store) attempt(key events.Key) attempt {
	return s.attemptAt(s.Projection.Snapshot(), key)
}

func (s *Store) attemptAt(snap *projections.Snapshot, key events.Key) attempt {
	a := attempt{key: key, expect: snap.Decision(key)}
	if key.Name != "" {
		a.object = snap.Get(key)
	}
	return a
}

// refresh is the attempt again, on a state that misses nothing.
func (s *Store) refresh(ctx context.Context, a attempt) (attempt, error) {
	snap, err := s.fresh(ctx)
	if err != nil {
		return a, err
	}
	next := s.attemptAt(snap, a.key)
	next.fresh = true
	return next, nil
}

func (a attempt) version() uint64 {
	if a.object == nil {
		return 0
	}
	return a.object.Version
}

// errAgain says that somebody else was first: decide again.
var errAgain = errors.New("decide again")

// commit appends the attempt's event, waits until it is folded and gives what
// it did. errAgain: it had no effect because the object had moved on; the next
// attempt is returned.
func (s *Store) commit(ctx context.Context, a attempt, e *events.Event, ttl uint64) (projections.Change, attempt, error) {
	e.Key, e.ID, e.Source, e.Time = a.key, bus.NewID(), s.Source, s.Now()
	describe(ctx, e)
	entry := bus.Entry{Event: e, Expect: bus.Expect(a.expect)}
	e.Prefix = events.PrefixDecision
	if s.Volatile {
		e.Prefix = events.PrefixVolatile
		entry.TTL = time.Duration(ttl) * time.Second
	} else if e.Type != events.Created {
		e.IfVersion = a.version()
	}
	seq, err := s.Log.Append(ctx, entry)
	if errors.Is(err, events.ErrConflict) {
		next, err := s.afterConflict(ctx, a, err)
		if err != nil {
			return projections.Change{}, a, err
		}
		return projections.Change{}, next, errAgain
	}
	if err != nil {
		return projections.Change{}, a, apiError(err, s.storageKey(a.key))
	}
	change, err := s.effect(ctx, a.key, seq)
	if err != nil {
		return projections.Change{}, a, apiError(err, s.storageKey(a.key))
	}
	if change.Void != nil {
		if fenced(change, s.Projection.Snapshot()) {
			return change, a, apiError(fmt.Errorf("%s %s: %w", e.Type, a.key, change.Void), s.storageKey(a.key))
		}
		next := s.attempt(a.key)
		next.fresh = true
		if next.version() == a.version() { // it would be void again
			err := fmt.Errorf("%w: %s %s: %v", events.ErrInvalid, e.Type, a.key, change.Void)
			return change, a, apiError(err, s.storageKey(a.key))
		}
		return change, next, errAgain
	}
	return change, a, nil
}

// fenced reports whether an event was void because its writer no longer leads:
// that is not to be tried again.
func fenced(c projections.Change, snap *projections.Snapshot) bool {
	return c.Event.Epoch != 0 && c.Event.Epoch < snap.Epoch(c.Event.Component)
}

// afterConflict waits for the decision that was first. A log that forgot the
// subject's last event (trimmed, expired) expects less than the fold remembers.
func (s *Store) afterConflict(ctx context.Context, a attempt, err error) (attempt, error) {
	next, rerr := s.refresh(ctx, a)
	if rerr != nil {
		return a, rerr
	}
	var conflict *bus.Conflict
	if errors.As(err, &conflict) && next.expect == a.expect {
		next.expect = conflict.Last
	}
	return next, nil
}

// effect waits until the event at seq about key is folded, and gives what it did.
func (s *Store) effect(ctx context.Context, key events.Key, seq uint64) (projections.Change, error) {
	if err := s.Projection.WaitFor(ctx, seq); err != nil {
		return projections.Change{}, err
	}
	for changes, err := range s.Projection.Changes(ctx, seq-1) {
		if err != nil {
			return projections.Change{}, err
		}
		if c := changes[0]; c.Event.Sequence == seq {
			return c, nil
		}
		break
	}
	return projections.Change{}, fmt.Errorf("%w: event %d on %s is stored but was not seen by the fold", events.ErrUnavailable, seq, key)
}

// open gives the value of a stored one.
func (s *Store) open(ctx context.Context, o *events.Object) (value runtime.Object, stale bool, err error) {
	if s.Sealer == nil {
		return o.Value, false, nil
	}
	return s.Sealer.Open(ctx, o.Key, o.Value)
}

// AnnotationDestroyed says of an object shown from the past why its sealed values
// are missing.
const AnnotationDestroyed = "reckon.dev/values-destroyed"

// openWas is open for an object that may be gone by now: what was destroyed
// with it is missing, an annotation says so, and that is no error.
func (s *Store) openWas(ctx context.Context, o *events.Object) (runtime.Object, error) {
	value, _, err := s.open(ctx, o)
	if value != nil && errors.Is(err, events.ErrGone) {
		if m, ok := value.(metav1.Object); ok {
			annotations := maps.Clone(m.GetAnnotations())
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[AnnotationDestroyed] = "the key of these values was destroyed with the object; they can't be read any more"
			m.SetAnnotations(annotations)
		}
		return value, nil
	}
	return value, err
}

// seal gives the form of a value to store in place of old's.
func (s *Store) seal(ctx context.Context, key events.Key, value runtime.Object, old *events.Object) (runtime.Object, error) {
	if s.Sealer == nil {
		return value, nil
	}
	var had runtime.Object
	if old.Exists() {
		had = old.Value
	}
	return s.Sealer.Seal(ctx, key, value, had)
}
