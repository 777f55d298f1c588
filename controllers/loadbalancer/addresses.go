package loadbalancer

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reckon-project/reckon/projections"
)

// addresses are those of the nodes that take a service's traffic, of the service's
// address families, in order.
func addresses(s *projections.Snapshot, svc *corev1.Service) []corev1.LoadBalancerIngress {
	var hosts map[string]bool
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		hosts = serving(s, svc)
	}
	var out []netip.Addr
	for node := range projections.List[*corev1.Node](s, "", "nodes", "") {
		if hosts != nil && !hosts[node.Name] || !takes(node) {
			continue
		}
		for _, a := range addressesOf(node) {
			if wants(svc, a) && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(a, b netip.Addr) int { return a.Compare(b) })
	vip := corev1.LoadBalancerIPModeVIP
	var ingress []corev1.LoadBalancerIngress
	for _, a := range out {
		ingress = append(ingress, corev1.LoadBalancerIngress{IP: a.String(), IPMode: &vip})
	}
	return ingress
}

// takes reports a node that takes traffic from outside.
func takes(node *corev1.Node) bool {
	_, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]
	if excluded || node.DeletionTimestamp != nil {
		return false
	}
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// addressesOf are a node's external addresses, or its internal ones. Nobody
// outside reaches a loopback address.
func addressesOf(node *corev1.Node) []netip.Addr {
	for _, sort := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		var out []netip.Addr
		for _, a := range node.Status.Addresses {
			if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == sort && !ip.IsLoopback() {
				out = append(out, ip.Unmap())
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

func wants(svc *corev1.Service, a netip.Addr) bool {
	family := corev1.IPv4Protocol
	if a.Is6() {
		family = corev1.IPv6Protocol
	}
	if len(svc.Spec.IPFamilies) == 0 {
		return family == corev1.IPv4Protocol
	}
	return slices.Contains(svc.Spec.IPFamilies, family)
}

// serving are the nodes with a ready endpoint of the service.
func serving(s *projections.Snapshot, svc *corev1.Service) map[string]bool {
	out := map[string]bool{}
	for o := range s.OwnedBy("discovery.k8s.io", "endpointslices", string(svc.UID)) {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			if e := &slice.Endpoints[i]; e.NodeName != nil && e.Conditions.Ready != nil && *e.Conditions.Ready {
				out[*e.NodeName] = true
			}
		}
	}
	return out
}
