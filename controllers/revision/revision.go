package revision

import (
	"cmp"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Parent is an object whose pod template has a history.
type Parent struct {
	Kind       controllers.Selecting
	Object     *events.Object
	Template   *corev1.PodTemplateSpec
	Collisions *int32 // its status.collisionCount
	Naming     Naming
}

// Of is the ControllerRevision of an object of a snapshot.
func Of(o *events.Object) *appsv1.ControllerRevision { return o.Value.(*appsv1.ControllerRevision) }

// Find gives the revisions that parent controls, oldest first. What is being
// deleted isn't among them.
func Find(s *projections.Snapshot, parent Parent, selector labels.Selector) []*events.Object {
	matching, _ := parent.Kind.Children(s, parent.Object, controllers.ControllerRevision, selector)
	found := slices.DeleteFunc(matching, func(o *events.Object) bool { return o.Meta().GetDeletionTimestamp() != nil })
	slices.SortFunc(found, func(a, b *events.Object) int { return Compare(Of(a), Of(b)) })
	return found
}

// Compare orders revisions: by number, then by age, then by name.
func Compare(a, b *appsv1.ControllerRevision) int {
	return cmp.Or(
		cmp.Compare(a.Revision, b.Revision),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

// Next is the number of a revision newer than all of these.
func Next(revisions []*events.Object) int64 {
	n := int64(0)
	for _, o := range revisions {
		n = max(n, Of(o).Revision)
	}
	return n + 1
}

// Present is what a parent's template has for a revision.
type Present struct {
	// Revision is it, once it is stored and has the newest number; nil before.
	Revision *events.Object
	// Intents make it so; the parent goes on once they are folded. With neither
	// Revision nor Intents a revision of that name is about to go: wait for it.
	Intents []controllers.Intent
	// Collided asks for status.collisionCount to go up: the name is taken.
	Collided bool
}

// Present finds the revision of the parent's template, or says how to make it.
// revisions are all that Find gave.
func (p Parent) Present(s *projections.Snapshot, revisions []*events.Object) (Present, error) {
	data, err := Data(p.Template)
	if err != nil {
		return Present{}, err
	}
	for i, o := range slices.Backward(revisions) {
		// Bytes first: a revision of the same meaning is looked for only where
		// nothing newer can be the one.
		if string(raw(Of(o))) == string(data) || i == len(revisions)-1 && holds(Of(o), data, p.Template) {
			return p.newest(revisions, i), nil
		}
	}
	return p.create(s, data, Next(revisions)), nil
}

// newest is the found revision with the newest number.
func (p Parent) newest(revisions []*events.Object, i int) Present {
	o, last := revisions[i], revisions[len(revisions)-1]
	if i == len(revisions)-1 || sameData(Of(o), Of(last)) {
		return Present{Revision: last}
	}
	changed := Of(o).DeepCopy()
	changed.Revision = Of(last).Revision + 1
	return Present{Intents: []controllers.Intent{controllers.Patch(o, changed)}}
}

func (p Parent) create(s *projections.Snapshot, data []byte, number int64) Present {
	r := p.revision(data, number)
	taken := s.Get(controllers.ControllerRevision.Key(r.Namespace, r.Name))
	if !taken.Exists() {
		return Present{Intents: []controllers.Intent{controllers.Create(controllers.ControllerRevision, r)}}
	}
	m := taken.Meta()
	ref := controllers.ControllerRef(m)
	switch {
	case m.GetDeletionTimestamp() != nil:
		return Present{}
	case ref != nil && ref.UID == p.Object.Meta().GetUID():
		return Present{Collided: true} // another template's with the same hash, or one that the selector left
	case !sameData(Of(taken), r):
		return Present{Collided: true}
	case ref == nil:
		return Present{Intents: []controllers.Intent{p.Kind.AdoptInto(p.Object, taken)}}
	case !s.ByUID(string(ref.UID)).Exists():
		return Present{} // of an earlier parent of this name: it goes with it
	}
	return Present{Collided: true}
}

func (p Parent) revision(data []byte, number int64) *appsv1.ControllerRevision {
	parent := p.Object.Meta()
	hash := p.Naming.hash(p.Template, data, p.Collisions)
	marked := map[string]string{}
	maps.Copy(marked, p.Template.Labels)
	marked[p.Naming.Label] = hash
	return &appsv1.ControllerRevision{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ControllerRevision"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: parent.GetNamespace(), Name: name(parent.GetName(), hash), Labels: marked,
			Annotations:     maps.Clone(parent.GetAnnotations()),
			OwnerReferences: []metav1.OwnerReference{p.Kind.Ref(parent)},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: number,
	}
}

// Prune deletes the oldest revisions that aren't in use until keep of those are
// left; keep < 0 keeps all.
func Prune(revisions []*events.Object, keep int, inUse func(*appsv1.ControllerRevision) bool) []controllers.Intent {
	var spare []*events.Object
	for _, o := range revisions {
		if !inUse(Of(o)) {
			spare = append(spare, o)
		}
	}
	if keep < 0 || len(spare) <= keep {
		return nil
	}
	var intents []controllers.Intent
	for _, o := range spare[:len(spare)-keep] {
		intents = append(intents, controllers.Delete(o))
	}
	return intents
}

// Raised is a collision count one higher.
func Raised(collisions *int32) *int32 {
	n := int32(1)
	if collisions != nil {
		n += *collisions
	}
	return &n
}
