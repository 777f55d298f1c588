package history

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Versions is what differs between two versions of an object.
type Versions struct {
	Object Ref     `json:"object"`
	From   uint64  `json:"from"` // the step of the first version, 0: there was no object
	To     uint64  `json:"to"`
	Fields []Field `json:"fields"`
}

// Between compares the object's versions at two positions. That there was an
// object at neither is an error of class events.ErrNotFound.
func (l *Life) Between(from, to uint64) (*Versions, error) {
	out := &Versions{Object: l.Object, Fields: []Field{}}
	var sides [2]runtime.Object
	for i, side := range []struct {
		at   uint64
		step *uint64
	}{{from, &out.From}, {to, &out.To}} {
		if s := l.At(side.at); s != nil && s.after.Exists() {
			sides[i], *side.step = s.after.Value, s.Sequence
		}
	}
	if sides[0] == nil && sides[1] == nil {
		return nil, fmt.Errorf("%s: there was none at %d, nor at %d: %w", l.Object.Key(), from, to, events.ErrNotFound)
	}
	fields, err := Fields(l.Object.Key(), sides[0], sides[1])
	if err != nil {
		return nil, err
	}
	out.Fields = append(out.Fields, fields...)
	return out, nil
}
