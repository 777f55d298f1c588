package endpointslice

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	endpointsliceutil "k8s.io/endpointslice/util"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	endpointsManagedBy = "endpoints.kubernetes.io/managed-by"
	endpointsManager   = "endpoint-controller"
	// maxAddresses is how many addresses an Endpoints object holds.
	maxAddresses = 1000
	// quietPerAddress keeps the whole-object updates of large services rare.
	quietPerAddress = time.Millisecond
)

// NewEndpoints makes the controller of Endpoints, the older form of the same.
func NewEndpoints() *controllers.Controller {
	return controllers.New("endpoint-controller").
		For("", "services").
		Watches("", "endpoints", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			k := controllers.KeyOf(c)
			add(controllers.Service.Key(k.Namespace, k.Name))
		}).
		Watches("", "pods", podChanged).
		Reconcile(reconcileEndpoints)
}

func reconcileEndpoints(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	old := s.Get(controllers.Endpoints.Key(key.Namespace, key.Name))
	svc, ok := managed(s, key)
	if !ok {
		// What a person made for a service without a selector stays.
		if old.Exists() && !s.Get(key).Exists() && old.Meta().GetLabels()[endpointsManagedBy] == endpointsManager {
			return controllers.Do(controllers.Delete(old)), nil
		}
		return controllers.Result{}, nil
	}
	pods := podsOf(s, svc)
	subsets, truncated := subsetsOf(svc, pods)
	wanted := maps.Clone(svc.Labels)
	if wanted == nil {
		wanted = map[string]string{}
	}
	delete(wanted, corev1.IsHeadlessService)
	if headless(svc) {
		wanted[corev1.IsHeadlessService] = ""
	}
	wanted[endpointsManagedBy] = endpointsManager
	quiet := time.Duration(len(pods)) * quietPerAddress
	if !old.Exists() {
		e := &corev1.Endpoints{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Endpoints"},
			ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name, Labels: wanted},
			Subsets:    subsets,
		}
		setTruncated(e, truncated)
		return controllers.Result{Intents: []controllers.Intent{controllers.Create(controllers.Endpoints, e)}, Quiet: quiet}, nil
	}
	was, ok := old.Value.(*corev1.Endpoints)
	if !ok {
		return controllers.Result{}, nil
	}
	if apiequality.Semantic.DeepEqual(was.Subsets, subsets) && maps.Equal(was.Labels, wanted) {
		return controllers.Result{Quiet: quiet}, nil
	}
	e := was.DeepCopy()
	e.Labels, e.Subsets = wanted, subsets
	setTruncated(e, truncated)
	return controllers.Result{Intents: []controllers.Intent{controllers.Update(old, e)}, Quiet: quiet}, nil
}

func setTruncated(e *corev1.Endpoints, truncated bool) {
	if !truncated {
		delete(e.Annotations, corev1.EndpointsOverCapacity)
		return
	}
	if e.Annotations == nil {
		e.Annotations = map[string]string{}
	}
	e.Annotations[corev1.EndpointsOverCapacity] = "truncated"
}

// subsetsOf gives one subset per list of ports, addresses in order.
func subsetsOf(svc *corev1.Service, pods []*corev1.Pod) (subsets []corev1.EndpointSubset, truncated bool) {
	byPorts := map[string]*corev1.EndpointSubset{}
	var order []string
	n := 0
	for _, pod := range pods {
		addresses := addressesOf(pod, families(svc)[0] == "IPv6")
		if len(addresses) == 0 || !endpointsliceutil.ShouldPodBeInEndpoints(pod, svc.Spec.PublishNotReadyAddresses) {
			continue
		}
		found := portsOf(svc, pod)
		if len(found) == 0 && len(svc.Spec.Ports) > 0 {
			continue
		}
		if n++; n > maxAddresses {
			truncated = true
			continue
		}
		key := portsKey(found)
		subset := byPorts[key]
		if subset == nil {
			subset = &corev1.EndpointSubset{}
			for _, p := range found {
				subset.Ports = append(subset.Ports, corev1.EndpointPort{Name: *p.Name, Port: *p.Port, Protocol: *p.Protocol, AppProtocol: p.AppProtocol})
			}
			byPorts[key] = subset
			order = append(order, key)
		}
		a := corev1.EndpointAddress{
			IP:        addresses[0],
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}
		if pod.Spec.NodeName != "" {
			a.NodeName = &pod.Spec.NodeName
		}
		if endpointsliceutil.ShouldSetHostname(pod, svc) {
			a.Hostname = pod.Spec.Hostname
		}
		if svc.Spec.PublishNotReadyAddresses || ready(pod) {
			subset.Addresses = append(subset.Addresses, a)
		} else {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, a)
		}
	}
	slices.Sort(order)
	byIP := func(a, b corev1.EndpointAddress) int { return cmp.Compare(a.IP, b.IP) }
	for _, key := range order {
		slices.SortFunc(byPorts[key].Addresses, byIP)
		slices.SortFunc(byPorts[key].NotReadyAddresses, byIP)
		subsets = append(subsets, *byPorts[key])
	}
	return subsets, truncated
}
