package endpointslice

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// packing puts the endpoints of one family into slices.
type packing struct {
	s      *projections.Snapshot
	svc    *corev1.Service
	family discoveryv1.AddressType
	names  *controllers.Namer
	since  func() trigger
}

// pack gives the writes that turn the slices that exist into what is wanted.
func (p packing) pack(want []*group, have []*events.Object) []controllers.Intent {
	if len(want) == 0 { // one slice without endpoints says that there are none
		want = []*group{{}}
	}
	byPorts := map[string][]*events.Object{}
	for _, o := range have {
		key := portsKey(o.Value.(*discoveryv1.EndpointSlice).Ports)
		byPorts[key] = append(byPorts[key], o)
	}
	var intents []controllers.Intent
	for _, g := range want {
		key := portsKey(g.ports)
		intents = append(intents, p.packGroup(g, byPorts[key])...)
		delete(byPorts, key)
	}
	for _, o := range have {
		if _, unused := byPorts[portsKey(o.Value.(*discoveryv1.EndpointSlice).Ports)]; unused {
			intents = append(intents, controllers.Delete(o))
		}
	}
	return intents
}

// packGroup keeps endpoints where they are, fills the slices that have room, and
// makes new ones for the rest.
func (p packing) packGroup(g *group, have []*events.Object) []controllers.Intent {
	placed := map[types.UID]bool{}
	filled := make([][]discoveryv1.Endpoint, len(have))
	for i, o := range have {
		for _, e := range o.Value.(*discoveryv1.EndpointSlice).Endpoints {
			if e.TargetRef == nil || placed[e.TargetRef.UID] {
				continue
			}
			if now, ok := g.endpoints[e.TargetRef.UID]; ok {
				filled[i] = append(filled[i], now)
				placed[e.TargetRef.UID] = true
			}
		}
	}
	var rest []discoveryv1.Endpoint
	for _, uid := range g.order {
		if !placed[uid] {
			rest = append(rest, g.endpoints[uid])
		}
	}
	for i := range filled {
		n := max(0, min(maxEndpoints-len(filled[i]), len(rest)))
		filled[i] = append(filled[i], rest[:n]...)
		rest = rest[n:]
	}
	var intents []controllers.Intent
	none := len(g.order) == 0 // then the first slice stays, empty
	for i, o := range have {
		if len(filled[i]) == 0 && (!none || i > 0) {
			intents = append(intents, controllers.Delete(o))
			continue
		}
		if changed := p.slice(o, g.ports, filled[i]); changed != nil {
			intents = append(intents, controllers.Update(o, changed))
		}
	}
	for len(rest) > 0 || none && len(have) == 0 && len(intents) == 0 {
		n := min(maxEndpoints, len(rest))
		slice := p.slice(nil, g.ports, rest[:n])
		slice.Name = p.names.Next(func(name string) bool {
			return p.s.Get(controllers.EndpointSlice.Key(p.svc.Namespace, name)).Exists()
		})
		intents = append(intents, controllers.Create(controllers.EndpointSlice, slice))
		rest = rest[n:]
	}
	return intents
}

// slice is the slice old (nil: a new one) with these endpoints; nil if that is
// what it has.
func (p packing) slice(old *events.Object, ports []discoveryv1.EndpointPort, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.svc.Namespace, GenerateName: p.svc.Name + "-",
			OwnerReferences: []metav1.OwnerReference{controllers.Service.Ref(p.svc)},
		},
		AddressType: p.family, Ports: ports,
	}
	if endpoints == nil {
		endpoints = []discoveryv1.Endpoint{}
	}
	wanted := sliceLabels(p.svc)
	if old == nil {
		slice.Labels, slice.Endpoints = wanted, endpoints
		slice.Annotations = p.since().annotate(nil)
		return slice
	}
	was := old.Value.(*discoveryv1.EndpointSlice)
	if apiequality.Semantic.DeepEqual(was.Endpoints, endpoints) && maps.Equal(was.Labels, wanted) {
		return nil
	}
	slice = was.DeepCopy()
	slice.Labels, slice.Endpoints = wanted, endpoints
	slice.Annotations = p.since().annotate(slice.Annotations)
	return slice
}

// sliceLabels are the service's own labels and those that say whose slice it is.
func sliceLabels(svc *corev1.Service) map[string]string {
	out := map[string]string{}
	for k, v := range svc.Labels {
		if k != corev1.IsHeadlessService {
			out[k] = v
		}
	}
	out[discoveryv1.LabelServiceName] = svc.Name
	out[discoveryv1.LabelManagedBy] = managedBy
	if headless(svc) {
		out[corev1.IsHeadlessService] = ""
	}
	return out
}

func headless(svc *corev1.Service) bool { return svc.Spec.ClusterIP == corev1.ClusterIPNone }
