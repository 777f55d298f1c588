package endpointslice

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	managedBy = "endpointslice-controller.k8s.io"
	// maxEndpoints is how many endpoints one slice holds.
	maxEndpoints = 100
	// quietPerPod is how long a reconcile keeps the next one off, per endpoint.
	quietPerPod = 100 * time.Microsecond
)

// New makes the controller of EndpointSlices.
func New() *controllers.Controller {
	return controllers.New("endpointslice-controller").
		For("", "services").
		Watches("", "pods", podChanged).
		Watches("", "nodes", nodeChanged).
		Watches("discovery.k8s.io", "endpointslices", sliceChanged).
		Writes(events.Progressed). // only to tell of it
		Reconcile(reconcile)
}

// sliceChanged maps a slice of this controller's to its service: somebody else
// may have changed it.
func sliceChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, o := range []*events.Object{c.Old, c.New} {
		if !o.Exists() {
			continue
		}
		l := o.Meta().GetLabels()
		if name := l[discoveryv1.LabelServiceName]; name != "" && l[discoveryv1.LabelManagedBy] == managedBy {
			add(controllers.Service.Key(o.Key.Namespace, name))
		}
	}
}

// managed gives the service if this package looks after its endpoints.
func managed(s *projections.Snapshot, key events.Key) (*corev1.Service, bool) {
	svc, ok := projections.Get[*corev1.Service](s, key)
	if !ok || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName || svc.DeletionTimestamp != nil {
		return nil, false
	}
	return svc, true
}

// podsOf gives the pods that a service selects.
func podsOf(s *projections.Snapshot, svc *corev1.Service) []*corev1.Pod {
	selector := labels.Set(svc.Spec.Selector).AsSelectorPreValidated()
	var pods []*corev1.Pod
	for pod := range projections.List[*corev1.Pod](s, "", "pods", svc.Namespace) {
		if len(pod.Labels) > 0 && selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	svc, ok := managed(s, key)
	if !ok {
		return controllers.Result{}, nil
	}
	pods := podsOf(s, svc)
	have := slicesOf(s, svc)
	names := controllers.Namer{Prefix: svc.Name, UID: string(svc.UID), Position: s.Position()}
	var result controllers.Result
	for _, family := range families(svc) {
		want := groups(s, svc, pods, family)
		if topologyAuto(svc) {
			result.Intents = append(result.Intents, told(s, svc, family, have[family], divide(s, want, have[family]))...)
		}
		p := packing{s: s, svc: svc, family: family, names: &names, since: sync.OnceValue(func() trigger { return triggerOf(svc, pods, want, have[family]) })}
		result.Intents = append(result.Intents, p.pack(want, have[family])...)
		delete(have, family)
	}
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		for _, o := range have[family] {
			result.Intents = append(result.Intents, controllers.Delete(o))
		}
	}
	result.Quiet = time.Duration(len(pods)) * quietPerPod
	return result, nil
}

// families are the address families that a service has addresses of.
func families(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, f := range svc.Spec.IPFamilies {
		if f == corev1.IPv6Protocol {
			out = append(out, discoveryv1.AddressTypeIPv6)
		} else {
			out = append(out, discoveryv1.AddressTypeIPv4)
		}
	}
	if len(out) == 0 {
		out = append(out, discoveryv1.AddressTypeIPv4)
	}
	return out
}

// slicesOf gives a service's slices that this controller made, by family.
func slicesOf(s *projections.Snapshot, svc *corev1.Service) map[discoveryv1.AddressType][]*events.Object {
	out := map[discoveryv1.AddressType][]*events.Object{}
	for o := range s.OwnedBy("discovery.k8s.io", "endpointslices", string(svc.UID)) {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if ok && slice.Labels[discoveryv1.LabelManagedBy] == managedBy && slice.DeletionTimestamp == nil {
			out[slice.AddressType] = append(out[slice.AddressType], o)
		}
	}
	return out
}
