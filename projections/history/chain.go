package history

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
)

// chain grows a forest of events from facts up to what began them. Each event
// is in it once, under the most telling of its causes.
type chain struct {
	reader *Reader
	life   *Life
	may    func(events.Key) bool
	nodes  map[uint64]*Node
	roots  []*Node
}

// reach gives the node of an event, after it and all above it are in the forest.
func (c *chain) reach(ctx context.Context, sequence uint64) (*Node, error) {
	if n := c.nodes[sequence]; n != nil {
		return n, nil
	}
	e, missing, err := c.reader.event(ctx, sequence)
	if err != nil {
		return nil, err
	}
	if e == nil { // the step that the life of an older object begins with
		n := &Node{Sequence: sequence, Object: c.life.Object, Type: Known, Missing: missing}
		if s := c.life.At(sequence); s != nil {
			n.Time = s.Time
		}
		c.nodes[sequence], c.roots = n, append(c.roots, n)
		return n, nil
	}
	return c.grow(ctx, e)
}

// grow puts an event into the forest.
func (c *chain) grow(ctx context.Context, e *events.Event) (*Node, error) {
	if n := c.nodes[e.Sequence]; n != nil {
		return n, nil
	}
	n := c.node(e)
	c.nodes[e.Sequence] = n
	above, err := c.above(ctx, e, n)
	if err != nil {
		return nil, err
	}
	if above == nil {
		n.Link = ""
		c.roots = append(c.roots, n)
		return n, nil
	}
	parent, err := c.grow(ctx, above)
	if err != nil {
		return nil, err
	}
	parent.Children = append(parent.Children, n)
	return n, nil
}

// above is the event that n hangs under; nil if it is a root.
func (c *chain) above(ctx context.Context, e *events.Event, n *Node) (*events.Event, error) {
	var best *events.Event
	for _, sequence := range e.Cause {
		if sequence >= e.Sequence { // no effect precedes its cause
			continue
		}
		cause, missing, err := c.reader.event(ctx, sequence)
		if err != nil {
			return nil, err
		}
		if cause == nil {
			n.Missing = "of its cause #" + number(sequence) + " nothing is known: " + missing
			continue
		}
		switch {
		case best == nil:
			best = cause
		case moreTelling(cause, best):
			n.Also = append(n.Also, best.Sequence)
			best = cause
		default:
			n.Also = append(n.Also, cause.Sequence)
		}
	}
	if best != nil {
		n.Link, n.Missing = LinkCause, ""
		slices.Sort(n.Also)
		return best, nil
	}
	if byUser(e.Actor, e.Source) {
		return nil, nil
	}
	if n.Missing == "" {
		n.Missing = "no cause is recorded"
	}
	if creates(e) {
		n.Link = LinkOwner
		return c.ownerOf(ctx, e)
	}
	n.Link = LinkObject
	return c.creation(ctx, e.Key, "", e.Sequence)
}

// moreTelling: what somebody outside wanted explains more than what a component
// decided, and that more than a report of status; of equals the newer does.
func moreTelling(a, b *events.Event) bool {
	return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a.Sequence, b.Sequence)) > 0
}

func weight(e *events.Event) int {
	switch {
	case byUser(e.Actor, e.Source):
		return 3
	case e.Type == events.Reported, e.Type == events.Progressed, e.Type == events.Unschedulable:
		return 1
	}
	return 2
}

// ownerOf is the creation of the object that controlled a new one.
func (c *chain) ownerOf(ctx context.Context, e *events.Event) (*events.Event, error) {
	value, err := events.DecodeObject(e.Data)
	if err != nil {
		return nil, nil //nolint:nilerr // a creation that doesn't decode is void, and has no owner
	}
	ref := metav1.GetControllerOf(value.(metav1.Object))
	if ref == nil {
		return nil, nil
	}
	k := ownerKey(ref, e.Key.Namespace)
	found, err := c.creation(ctx, k, string(ref.UID), e.Sequence)
	if found == nil && err == nil && k.Namespace != "" {
		k.Namespace = "" // a cluster-scoped owner
		found, err = c.creation(ctx, k, string(ref.UID), e.Sequence)
	}
	return found, err
}

func ownerKey(ref *metav1.OwnerReference, namespace string) events.Key {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		gv = schema.GroupVersion{}
	}
	plural, _ := meta.UnsafeGuessKindToResource(gv.WithKind(ref.Kind))
	return events.Key{Group: gv.Group, Resource: plural.Resource, Namespace: namespace, Name: ref.Name}
}

// creation is the last creation of an object of a name before an event; uid ""
// takes any. nil if the history has none.
func (c *chain) creation(ctx context.Context, k events.Key, uid string, before uint64) (*events.Event, error) {
	var found *events.Event
	for e, err := range c.reader.Log.Read(ctx, 0, k.Subject()) {
		if err != nil {
			return nil, err
		}
		if e.Sequence >= before {
			break
		}
		if creates(e) && (uid == "" || createdUID(e) == uid) {
			found = e
		}
	}
	return found, nil
}

func createdUID(e *events.Event) string {
	value, err := events.DecodeObject(e.Data)
	if err != nil {
		return ""
	}
	return string(value.(metav1.Object).GetUID())
}

// sort puts everything in order of time.
func (c *chain) sort() {
	bySequence := func(a, b *Node) int { return cmp.Compare(a.Sequence, b.Sequence) }
	slices.SortFunc(c.roots, bySequence)
	for _, n := range c.nodes {
		slices.SortFunc(n.Children, bySequence)
	}
}
