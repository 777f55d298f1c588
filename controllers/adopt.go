package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Selecting is a kind whose objects control children that their selector matches.
type Selecting struct {
	Kind
	// Selector of an object of the kind; nil: none.
	Selector func(*events.Object) *metav1.LabelSelector
}

// OfChild maps a change to the controllers of the child before and after; a
// child without a controller is mapped to itself, if somebody may adopt it.
func (k Selecting) OfChild(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	k.Kind.OfChild(s, c, add)
	if c.New != nil && ControllerRef(c.New.Meta()) == nil && len(c.New.Meta().GetLabels()) > 0 && c.New.Meta().GetDeletionTimestamp() == nil {
		if k.adopter(s, c.New) != nil {
			add(c.New.Key)
		}
	}
}

// Adopt makes the first owner whose selector matches the controller of orphan.
func (k Selecting) Adopt(s *projections.Snapshot, orphan *events.Object) []Intent {
	if !orphan.Exists() || ControllerRef(orphan.Meta()) != nil || orphan.Meta().GetDeletionTimestamp() != nil {
		return nil
	}
	owner := k.adopter(s, orphan)
	if owner == nil {
		return nil
	}
	return []Intent{k.AdoptInto(owner, orphan)}
}

// AdoptInto makes owner the controller of orphan.
func (k Selecting) AdoptInto(owner, orphan *events.Object) Intent {
	value := orphan.Value.DeepCopyObject()
	m := value.(metav1.Object)
	m.SetOwnerReferences(append(m.GetOwnerReferences(), k.Ref(owner.Meta())))
	return Patch(orphan, value)
}

// Release takes away owner's reference to child, which it doesn't select any more.
func (k Selecting) Release(owner, child *events.Object) Intent {
	value := child.Value.DeepCopyObject()
	m := value.(metav1.Object)
	var refs []metav1.OwnerReference
	for _, r := range m.GetOwnerReferences() {
		if r.UID != owner.Meta().GetUID() {
			refs = append(refs, r)
		}
	}
	m.SetOwnerReferences(refs)
	return Patch(child, value)
}

// Children gives the objects of a resource that owner controls: those that its
// selector matches, and those that it doesn't any more.
func (k Selecting) Children(s *projections.Snapshot, owner *events.Object, child Kind, selector labels.Selector) (matching, strangers []*events.Object) {
	uid := owner.Meta().GetUID()
	for o := range s.OwnedBy(child.Group, child.Resource, string(uid)) {
		if ref := ControllerRef(o.Meta()); ref == nil || ref.UID != uid {
			continue
		}
		if selector.Matches(labels.Set(o.Meta().GetLabels())) {
			matching = append(matching, o)
		} else {
			strangers = append(strangers, o)
		}
	}
	return matching, strangers
}

// Orphans gives the objects in owner's namespace that selector matches and
// nobody controls: a new owner adopts them, later ones come by OfChild.
func (k Selecting) Orphans(s *projections.Snapshot, owner *events.Object, child Kind, selector labels.Selector) []*events.Object {
	var orphans []*events.Object
	for o := range s.Orphans(child.Group, child.Resource, owner.Key.Namespace) {
		m := o.Meta()
		if m.GetDeletionTimestamp() == nil && selector.Matches(labels.Set(m.GetLabels())) {
			orphans = append(orphans, o)
		}
	}
	return orphans
}

func (k Selecting) adopter(s *projections.Snapshot, orphan *events.Object) *events.Object {
	set := labels.Set(orphan.Meta().GetLabels())
	for owner := range s.List(k.Group, k.Resource, orphan.Key.Namespace) {
		if owner.Meta().GetDeletionTimestamp() == nil && selects(k.Selector(owner), set) {
			return owner
		}
	}
	return nil
}

// Compile is LabelSelectorAsSelector for a selector that the API has accepted: what
// needs no validation isn't validated again.
func Compile(selector *metav1.LabelSelector) (labels.Selector, error) {
	if selector == nil || len(selector.MatchExpressions) > 0 || len(selector.MatchLabels) == 0 {
		return metav1.LabelSelectorAsSelector(selector)
	}
	return labels.Set(selector.MatchLabels).AsSelectorPreValidated(), nil
}

// selects reports whether a selector, which must not be empty, matches. It is
// asked of every owner in a namespace, so it compiles only what may match.
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	if selector == nil {
		return false
	}
	for name, value := range selector.MatchLabels {
		if have, ok := set[name]; !ok || have != value {
			return false
		}
	}
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !compiled.Empty() && compiled.Matches(set)
}
