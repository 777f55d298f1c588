package endpointslicemirroring

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	managedBy = "endpointslicemirroring-controller.k8s.io"
	// leader is the annotation of an Endpoints that only tells who leads.
	leader = "control-plane.alpha.kubernetes.io/leader"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("endpointslicemirroring-controller").
		For("", "endpoints").
		Watches("", "services", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if o, n := serviceOf(c.Old), serviceOf(c.New); o == nil || n == nil || (len(o.Spec.Selector) == 0) != (len(n.Spec.Selector) == 0) {
				k := controllers.KeyOf(c)
				add(controllers.Endpoints.Key(k.Namespace, k.Name))
			}
		}).
		Watches("discovery.k8s.io", "endpointslices", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			for _, o := range []*events.Object{c.Old, c.New} {
				if o.Exists() && o.Meta().GetLabels()[discoveryv1.LabelManagedBy] == managedBy {
					if name := o.Meta().GetLabels()[discoveryv1.LabelServiceName]; name != "" {
						add(controllers.Endpoints.Key(o.Key.Namespace, name))
					}
				}
			}
		}).
		Reconcile(reconcile)
}

func serviceOf(o *events.Object) *corev1.Service {
	if !o.Exists() {
		return nil
	}
	svc, _ := o.Value.(*corev1.Service)
	return svc
}

// mirrored reports Endpoints that somebody keeps for a service.
func mirrored(s *projections.Snapshot, e *corev1.Endpoints) bool {
	_, election := e.Annotations[leader]
	if election || e.Labels[discoveryv1.LabelSkipMirror] == "true" || e.DeletionTimestamp != nil {
		return false
	}
	svc, ok := projections.Get[*corev1.Service](s, controllers.Service.Key(e.Namespace, e.Name))
	return ok && len(svc.Spec.Selector) == 0
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	e, ok := projections.Get[*corev1.Endpoints](s, key)
	if !ok {
		return controllers.Result{}, nil
	}
	have := slicesOf(s, e)
	if !mirrored(s, e) {
		var result controllers.Result
		for _, o := range have {
			result.Intents = append(result.Intents, controllers.Delete(o))
		}
		return result, nil
	}
	m := mirror{s: s, of: e, names: &controllers.Namer{Prefix: e.Name, UID: string(e.UID), Position: s.Position()}}
	wanted := m.groups()
	byKey := map[string][]*events.Object{}
	for _, o := range have {
		slice := o.Value.(*discoveryv1.EndpointSlice)
		k := groupKey(slice.AddressType, slice.Ports)
		byKey[k] = append(byKey[k], o)
	}
	var writes, deletes []controllers.Intent
	for _, g := range wanted {
		var old *events.Object
		if same := byKey[g.key]; len(same) > 0 {
			old, byKey[g.key] = same[0], same[1:]
		}
		if i, changed := m.write(old, g); changed {
			writes = append(writes, i)
		}
	}
	for _, o := range have {
		for _, left := range byKey[keyOfSlice(o)] {
			if left == o {
				deletes = append(deletes, controllers.Delete(o))
			}
		}
	}
	return controllers.Do(append(writes, deletes...)...), nil
}

func keyOfSlice(o *events.Object) string {
	slice := o.Value.(*discoveryv1.EndpointSlice)
	return groupKey(slice.AddressType, slice.Ports)
}

// slicesOf gives the mirrors of an Endpoints object. (Those of one that is gone are
// collected as garbage.)
func slicesOf(s *projections.Snapshot, e *corev1.Endpoints) []*events.Object {
	var out []*events.Object
	for o := range s.OwnedBy("discovery.k8s.io", "endpointslices", string(e.UID)) {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if ok && slice.Labels[discoveryv1.LabelManagedBy] == managedBy && slice.DeletionTimestamp == nil {
			out = append(out, o)
		}
	}
	return out
}

// write makes old (nil: a new slice) the mirror of a group.
func (m mirror) write(old *events.Object, g *group) (controllers.Intent, bool) {
	slice := &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta:  metav1.ObjectMeta{Namespace: m.of.Namespace},
		AddressType: g.family, Ports: g.ports,
	}
	if old != nil {
		slice = old.Value.(*discoveryv1.EndpointSlice).DeepCopy()
	}
	slice.Endpoints, slice.Labels, slice.Annotations = g.endpoints, m.labels(), m.annotations()
	slice.OwnerReferences = []metav1.OwnerReference{controllers.Endpoints.Ref(m.of)}
	if old == nil {
		slice.GenerateName = m.of.Name + "-"
		slice.Name = m.names.Next(func(name string) bool {
			return m.s.Get(controllers.EndpointSlice.Key(m.of.Namespace, name)).Exists()
		})
		return m.explained(controllers.Create(controllers.EndpointSlice, slice), g), true
	}
	if apiequality.Semantic.DeepEqual(old.Value, slice) {
		return controllers.Intent{}, false
	}
	return m.explained(controllers.Update(old, slice), g), true
}

// explained says with a write what was left out.
func (m mirror) explained(i controllers.Intent, g *group) controllers.Intent {
	switch n := m.invalid(); {
	case g.skipped > 0:
		return i.Because("TooManyAddressesToMirror", "A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", maxEndpoints, g.skipped)
	case n > 0:
		return i.Because("InvalidIPAddress", "Skipped %d invalid IP addresses when mirroring to EndpointSlices", n)
	}
	return i
}

func (m mirror) labels() map[string]string {
	out := maps.Clone(m.of.Labels)
	if out == nil {
		out = map[string]string{}
	}
	out[discoveryv1.LabelServiceName], out[discoveryv1.LabelManagedBy] = m.of.Name, managedBy
	return out
}

func (m mirror) annotations() map[string]string {
	out := maps.Clone(m.of.Annotations)
	delete(out, corev1.EndpointsLastChangeTriggerTime)
	delete(out, corev1.LastAppliedConfigAnnotation)
	if len(out) == 0 {
		return nil
	}
	return out
}
