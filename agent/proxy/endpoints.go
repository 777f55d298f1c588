package proxy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is where a connection may go.
type endpoint struct {
	addr  netip.AddrPort
	local bool // on this node
}

// endpointsOf gives the endpoints of a service port that take new connections, in
// a fixed order: the ready ones, or if none is, those that serve while they
// terminate (https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions).
func endpointsOf(port *corev1.ServicePort, of map[string]*discoveryv1.EndpointSlice, node string) []endpoint {
	var ready, leaving []endpoint
	for _, s := range of {
		number, ok := portOf(port, s)
		if !ok {
			continue
		}
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			list := &ready
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				if !isTrue(e.Conditions.Serving) || !isTrue(e.Conditions.Terminating) {
					continue
				}
				list = &leaving
			}
			if len(e.Addresses) == 0 {
				continue
			}
			addr, err := netip.ParseAddr(e.Addresses[0]) // all addresses of one endpoint are the same
			if err != nil || !addr.Is4() {
				continue
			}
			*list = append(*list, endpoint{netip.AddrPortFrom(addr, number), e.NodeName != nil && *e.NodeName == node})
		}
	}
	if len(ready) == 0 {
		ready = leaving
	}
	slices.SortFunc(ready, func(a, b endpoint) int { return a.addr.Compare(b.addr) })
	return slices.CompactFunc(ready, func(a, b endpoint) bool { return a.addr == b.addr })
}

func isTrue(b *bool) bool { return b != nil && *b }

// portOf finds a slice's number for a service port: they have one name.
func portOf(port *corev1.ServicePort, s *discoveryv1.EndpointSlice) (uint16, bool) {
	for i := range s.Ports {
		p := &s.Ports[i]
		name, protocol := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if p.Port != nil && name == port.Name && protocol == protocolOf(port) {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

func protocolOf(port *corev1.ServicePort) corev1.Protocol {
	if port.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return port.Protocol
}

func localOnly(all []endpoint) []endpoint {
	var out []endpoint
	for _, e := range all {
		if e.local {
			out = append(out, e)
		}
	}
	return out
}
