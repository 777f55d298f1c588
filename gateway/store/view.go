package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// view is a resource's objects at one position: a snapshot, and for positions
// before it what was different then.
type view struct {
	group, resource string
	position        uint64
	snap            *projections.Snapshot
	then            map[string]*events.Object // by table key; nil: there was none
	refolded        bool                      // snap was folded anew: it shares little with the present
}

// view gives the objects that list options ask for. at is the exact position, 0
// if there is none. An exact one that isn't kept is ErrGone.
func (s *Store) view(ctx context.Context, at int64, opts storage.ListOptions) (*view, error) {
	if moment, ok := MomentOf(ctx); ok {
		return s.momentView(ctx, moment, uint64(max(at, 0)))
	}
	v := &view{group: s.resource.Group, resource: s.resource.Resource}
	var err error
	switch {
	case at > 0:
		return v, s.exactly(ctx, v, uint64(at))
	case opts.Recursive && opts.Predicate.Continue != "":
		v.snap, err = s.fresh(ctx) // an inconsistent page: the present state
	default:
		v.snap, err = s.notOlder(ctx, opts.ResourceVersion)
	}
	if err != nil {
		return nil, err
	}
	v.position = v.snap.Position()
	return v, nil
}

// exactly makes v the state at a position: one that was retained, the present
// one turned back, or one that is folded again.
func (s *Store) exactly(ctx context.Context, v *view, position uint64) (err error) {
	v.position = position
	if floor := s.Hub.forgotten(); position < floor {
		return fmt.Errorf("state at %d: kept from %d on: %w", position, floor, events.ErrGone)
	}
	if v.snap = s.Projection.Retained(position); v.snap != nil {
		return nil
	}
	if v.snap, err = s.reach(ctx, position); err != nil {
		return err
	}
	if err = s.turnBack(ctx, v); !errors.Is(err, events.ErrGone) {
		return err
	}
	v.then, v.refolded = nil, true
	v.snap, err = s.Projection.At(ctx, position)
	return err
}

// turnBack finds what was different at v.position, by the changes since that
// are in memory.
func (s *Store) turnBack(ctx context.Context, v *view) error {
	end := v.snap.Position()
	if v.position == end {
		return nil
	}
	v.then = map[string]*events.Object{}
	for changes, err := range s.Projection.Changes(ctx, v.position, projections.BufferOnly()) {
		if err != nil {
			return err
		}
		for i := range changes {
			c := &changes[i]
			if c.Event.Sequence > end {
				return nil
			}
			k := c.Event.Key
			if c.Void != nil || k.Group != v.group || k.Resource != v.resource {
				continue
			}
			key := tableKey(relativeKey(k))
			if _, seen := v.then[key]; !seen {
				v.then[key] = c.Old
			}
		}
		if changes[len(changes)-1].Event.Sequence >= end {
			return nil
		}
	}
	return errors.New("the changes ended") // Changes ends with an error only
}

func (v *view) get(k events.Key) *events.Object {
	if o, ok := v.then[tableKey(relativeKey(k))]; ok {
		return o
	}
	return v.snap.Get(k)
}

// ascend yields the objects whose relative key begins with prefix and is not
// before start, in order.
func (v *view) ascend(prefix, start string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		namespace, _, _ := strings.Cut(prefix, "/")
		from := ""
		if start != "" {
			from = tableKey(start)
		}
		other := v.changedKeys(prefix, from)
		for o := range v.snap.ListFrom(v.group, v.resource, namespace, from) {
			rel := relativeKey(o.Key)
			key := tableKey(rel)
			for len(other) > 0 && other[0] < key {
				if was := v.then[other[0]]; was != nil && !yield(was) {
					return
				}
				other = other[1:]
			}
			if len(other) > 0 && other[0] == key {
				o, other = v.then[key], other[1:]
			}
			if o != nil && strings.HasPrefix(rel, prefix) && !yield(o) {
				return
			}
		}
		for _, key := range other {
			if was := v.then[key]; was != nil && !yield(was) {
				return
			}
		}
	}
}

// changedKeys gives the table keys in range whose objects were different.
func (v *view) changedKeys(prefix, from string) []string {
	if len(v.then) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(v.then))
	return slices.DeleteFunc(keys, func(k string) bool {
		return k < from || !strings.HasPrefix(strings.TrimPrefix(k, "/"), prefix)
	})
}
