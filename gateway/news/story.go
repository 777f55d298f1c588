package news

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// story is what an event of the log tells about an object. It is immutable.
type story struct {
	about     corev1.ObjectReference
	reason    string
	note      string
	component string
	host      string
	sequence  uint64
	step      int // of the log's event
	first     metav1.Time
	last      metav1.Time
	count     int32
}

// sameness is what two events that count as one have in common.
type sameness struct {
	uid          types.UID
	reason, note string
}

func (s *story) sameness() sameness { return sameness{s.about.UID, s.reason, s.note} }

// newStories gives what c tells, one for each of its steps; none for what nobody
// needs to be told: void events and plain writes through the API.
func newStories(c *projections.Change) []*story {
	if s := nodeStory(c); s != nil {
		return []*story{s}
	}
	whole := newStory(c)
	if whole == nil {
		return nil
	}
	var out []*story
	for i, step := range c.Event.Steps() {
		s := *whole
		s.step, s.reason, s.note = i, step.Reason, worded(&s.about, step)
		out = append(out, &s)
	}
	return out
}

func newStory(c *projections.Change) *story {
	e := c.Event
	if c.Void != nil || !isNews(e) {
		return nil
	}
	object := c.New
	if object == nil {
		object = c.Old
	}
	if object == nil || untold(e, object) {
		return nil
	}
	s := storyOf(e, object)
	if byController(e) {
		if owner := metav1.GetControllerOf(object.Meta()); owner != nil {
			s.about = corev1.ObjectReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Namespace: object.Key.Namespace, Name: owner.Name, UID: owner.UID}
		}
	}
	return s
}

// storyOf is what e tells about an object.
func storyOf(e *events.Event, object *events.Object) *story {
	s := &story{about: reference(object), reason: e.Reason, note: e.Note, sequence: e.Sequence, first: metav1.NewTime(e.Time), count: 1}
	s.last = s.first
	s.component, s.host = teller(e)
	return s
}

// plain are the reasons of writes through the API whose writer gave none: the
// object itself shows what they did.
var plain = map[string]bool{
	"": true, "Created": true, "Deleted": true, "Deleting": true, "Updated": true, "Patched": true,
	"Scaled": true, "Paused": true, "Resumed": true, "Restarted": true,
}

func isNews(e *events.Event) bool {
	return (!plain[e.Reason] || e.Type == events.Progressed && e.Reason != "") && e.Type != events.Elected && !strings.HasPrefix(e.Reason, "Updated")
}

// byController reports whether a built-in controller wrote e through the API:
// what it did to an object it tells of the object's controller ("Created pod
// web-1" is news of the ReplicaSet).
func byController(e *events.Event) bool {
	return e.Verb != "" && strings.HasPrefix(e.Actor, controllerAccounts)
}

const controllerAccounts = "system:serviceaccount:kube-system:"

func reference(o *events.Object) corev1.ObjectReference {
	gvk := o.Value.GetObjectKind().GroupVersionKind()
	if gvk.Kind == "" {
		if kinds, _, err := events.Scheme.ObjectKinds(o.Value); err == nil {
			gvk = kinds[0]
		}
	}
	return corev1.ObjectReference{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind,
		Namespace: o.Key.Namespace, Name: o.Key.Name, UID: o.Meta().GetUID(),
		ResourceVersion: strconv.FormatUint(o.Version, 10),
	}
}

// namespace is where the Event lives: the object's, default for nodes and others
// without one.
func (s *story) namespace() string {
	if s.about.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return s.about.Namespace
}

func (s *story) name() string {
	if s.step == 0 {
		return fmt.Sprintf("%s.%x", s.about.Name, s.sequence)
	}
	return fmt.Sprintf("%s.%x.%d", s.about.Name, s.sequence, s.step)
}

// event builds the Event.
func (s *story) event() *corev1.Event {
	kind := corev1.EventTypeNormal
	if s.warns() {
		kind = corev1.EventTypeWarning
	}
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.name(), Namespace: s.namespace(), CreationTimestamp: s.first,
			UID: types.UID(fmt.Sprintf("00000000-0000-%04x-%04x-%012x", s.step, s.sequence>>48, s.sequence&(1<<48-1))),
		},
		InvolvedObject: s.about, Reason: s.reason, Message: s.note, Type: kind,
		Source:         corev1.EventSource{Component: s.component, Host: s.host},
		FirstTimestamp: s.first, LastTimestamp: s.last, Count: s.count,
		ReportingController: s.component, ReportingInstance: s.host,
	}
}
