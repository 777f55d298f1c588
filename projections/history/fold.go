package history

import (
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// fold folds the events of a few objects, and leaderships, as a projection
// folds all: which events are void, and what the others did, is the same.
type fold struct {
	objects map[events.Key]*events.Object
	epochs  map[string]uint64
	// epoch gives a component's epoch at the beginning of the history kept.
	epoch func(component string) (uint64, error)
}

func newFold(epoch func(string) (uint64, error)) *fold {
	return &fold{objects: map[events.Key]*events.Object{}, epochs: map[string]uint64{}, epoch: epoch}
}

// apply folds one event. A leadership gives no change of an object.
func (f *fold) apply(e *events.Event) (projections.Change, error) {
	c := projections.Change{Event: e}
	if e.Type == events.Elected {
		if e.Prefix == events.PrefixDecision && e.Component != "" && e.Key == bus.LeaderKey(e.Component) {
			f.epochs[e.Component] = e.Sequence
		}
		return c, nil
	}
	if strings.IndexByte(e.Key.Namespace, '/') >= 0 {
		c.Void = &events.Void{Why: "the namespace holds a slash"}
		return c, nil
	}
	old := f.objects[e.Key]
	next, err := old, error(nil)
	if e.Epoch != 0 {
		current, ok := f.epochs[e.Component]
		if !ok {
			if current, err = f.epoch(e.Component); err != nil {
				return c, err
			}
			f.epochs[e.Component] = current
		}
		if e.Epoch < current {
			err = events.Fenced(e, current)
		}
	}
	if err != nil {
		next = events.Skip(old, e)
	} else {
		next, err = events.Fold(old, e)
	}
	f.objects[e.Key] = next
	c.Void = err
	if next.Exists() {
		c.New = next
	}
	if old.Exists() {
		c.Old = old
	}
	return c, nil
}
