package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Difference is what differs between two positions of the log.
type Difference struct {
	From     uint64      `json:"from"`
	FromTime time.Time   `json:"fromTime"` // of the last event then
	To       uint64      `json:"to"`
	ToTime   time.Time   `json:"toTime"`
	Objects  []Different `json:"objects"` // by group, resource, namespace and name
}

// Different is one object that differs.
type Different struct {
	Object Ref    `json:"object"`
	Op     string `json:"op"` // Added, Removed or Changed
	// Recreated: it was deleted, and another one has its name.
	Recreated bool    `json:"recreated,omitempty"`
	Summary   string  `json:"summary,omitempty"`
	Fields    []Field `json:"fields,omitempty"` // of a changed one
	// StatusOnly: nothing but its status differs.
	StatusOnly bool `json:"statusOnly,omitempty"`
}

// Between compares the states at two positions, of one namespace or, for "", of
// the whole cluster. What differs in bookkeeping only is left out.
func (r *Reader) Between(ctx context.Context, from, to uint64, namespace string) (*Difference, error) {
	old, err := r.Projection.At(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("difference between %d and %d: %w", from, to, err)
	}
	new, err := r.Projection.At(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("difference between %d and %d: %w", from, to, err)
	}
	d := &Difference{From: from, FromTime: old.Time(), To: to, ToTime: new.Time(), Objects: []Different{}}
	for _, gr := range resources(old, new) {
		if err := d.resource(old, new, gr, namespace); err != nil {
			return nil, err
		}
	}
	return d, nil
}

type groupResource struct{ group, resource string }

func resources(snapshots ...*projections.Snapshot) []groupResource {
	var out []groupResource
	for _, s := range snapshots {
		for g, r := range s.Resources() {
			if !slices.Contains(out, groupResource{g, r}) {
				out = append(out, groupResource{g, r})
			}
		}
	}
	slices.SortFunc(out, func(a, b groupResource) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource))
	})
	return out
}

// resource compares one table: two sorted lists, walked together.
func (d *Difference) resource(old, new *projections.Snapshot, gr groupResource, namespace string) error {
	was := slices.Collect(old.List(gr.group, gr.resource, namespace))
	is := slices.Collect(new.List(gr.group, gr.resource, namespace))
	for len(was) > 0 || len(is) > 0 {
		var o, n *events.Object
		switch c := compare(was, is); {
		case c < 0:
			o, was = was[0], was[1:]
		case c > 0:
			n, is = is[0], is[1:]
		default:
			o, n, was, is = was[0], is[0], was[1:], is[1:]
		}
		if err := d.object(o, n); err != nil {
			return err
		}
	}
	return nil
}

// compare orders the heads of two lists; an empty one comes last.
func compare(a, b []*events.Object) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	x, y := a[0].Key, b[0].Key
	return cmp.Or(cmp.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name))
}

func (d *Difference) object(old, new *events.Object) error {
	switch {
	case old == nil:
		d.Objects = append(d.Objects, Different{Object: RefTo(new.Key), Op: Added, Summary: Summary(new.Value)})
		return nil
	case new == nil:
		d.Objects = append(d.Objects, Different{Object: RefTo(old.Key), Op: Removed, Summary: Summary(old.Value)})
		return nil
	case old.Version == new.Version:
		return nil
	}
	fields, err := Fields(new.Key, old.Value, new.Value)
	if err != nil {
		return err
	}
	out := Different{
		Object: RefTo(new.Key), Op: Changed, Fields: fields,
		Recreated: old.Meta().GetUID() != new.Meta().GetUID(), StatusOnly: true,
	}
	telling := out.Recreated
	for _, f := range fields {
		telling = telling || !f.Noise
		out.StatusOnly = out.StatusOnly && (f.Noise || rank(f.Path) >= rank("status.phase"))
	}
	if telling {
		d.Objects = append(d.Objects, out)
	}
	return nil
}
