package endpointslice

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	endpointslice "k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// group is the endpoints that serve the same ports.
type group struct {
	ports     []discoveryv1.EndpointPort
	endpoints map[types.UID]discoveryv1.Endpoint // by pod
	order     []types.UID                        // as the snapshot lists them
}

// groups makes the endpoints of one family, by ports.
func groups(s *projections.Snapshot, svc *corev1.Service, pods []*corev1.Pod, family discoveryv1.AddressType) []*group {
	byPorts := map[string]*group{}
	var out []*group
	for _, pod := range pods {
		addresses := addressesOf(pod, family == discoveryv1.AddressTypeIPv6)
		if len(addresses) == 0 || !addressed(pod) || !housed(s, svc, pod) {
			continue
		}
		ports := portsOf(svc, pod)
		if len(ports) == 0 && len(svc.Spec.Ports) > 0 {
			continue // none of its ports is there
		}
		key := portsKey(ports)
		g := byPorts[key]
		if g == nil {
			g = &group{ports: ports, endpoints: map[types.UID]discoveryv1.Endpoint{}}
			byPorts[key] = g
			out = append(out, g)
		}
		g.endpoints[pod.UID] = endpointOf(s, svc, pod, addresses)
		g.order = append(g.order, pod.UID)
	}
	return out
}

// housed reports a pod whose node exists, or whose address is wanted in any case.
func housed(s *projections.Snapshot, svc *corev1.Service, pod *corev1.Pod) bool {
	return svc.Spec.PublishNotReadyAddresses || s.Get(controllers.Node.Key("", pod.Spec.NodeName)).Exists()
}

// portsKey identifies a list of ports.
func portsKey(ports []discoveryv1.EndpointPort) string {
	data, err := json.Marshal(ports)
	if err != nil || len(ports) == 0 {
		return ""
	}
	return string(data)
}

// portsOf resolves a service's target ports at a pod; a named port that the pod
// lacks is left out.
func portsOf(svc *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	var out []discoveryv1.EndpointPort
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		n, err := endpointslice.FindPort(pod, p)
		if err != nil {
			continue
		}
		port := int32(n)
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Port: &port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
	}
	return out
}

func endpointOf(s *projections.Snapshot, svc *corev1.Service, pod *corev1.Pod, addresses []string) discoveryv1.Endpoint {
	serving, terminating := ready(pod), pod.DeletionTimestamp != nil
	isReady := svc.Spec.PublishNotReadyAddresses || serving && !terminating
	e := discoveryv1.Endpoint{
		Addresses:  addresses,
		Conditions: discoveryv1.EndpointConditions{Ready: &isReady, Serving: &serving, Terminating: &terminating},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		e.NodeName = &pod.Spec.NodeName
		if node, ok := projections.Get[*corev1.Node](s, controllers.Node.Key("", pod.Spec.NodeName)); ok {
			if zone, ok := node.Labels[corev1.LabelTopologyZone]; ok {
				e.Zone = &zone
			}
		}
	}
	if endpointsliceutil.ShouldSetHostname(pod, svc) {
		e.Hostname = &pod.Spec.Hostname
	}
	e.Hints = hintsOf(svc, &e)
	return e
}
