package endpointslicemirroring

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// maxEndpoints is how many addresses with the same ports are mirrored.
const maxEndpoints = 1000

// mirror is the mirroring of one Endpoints object.
type mirror struct {
	s     *projections.Snapshot
	of    *corev1.Endpoints
	names *controllers.Namer
}

// group is the addresses of one family with the same ports: what one slice holds.
type group struct {
	key       string
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
	skipped   int
}

// address is an address and all ports that it is listed with.
type address struct {
	corev1.EndpointAddress
	ip    netip.Addr
	ready bool
	ports []corev1.EndpointPort
}

// groups are what is to be mirrored, in the order of their keys. An address that
// is listed several times counts once, with all its ports.
func (m mirror) groups() []*group {
	byKey := map[string]*group{}
	var out []*group
	for _, a := range m.addresses() {
		ports := portsOf(a.ports)
		family := discoveryv1.AddressTypeIPv4
		if a.ip.Is6() {
			family = discoveryv1.AddressTypeIPv6
		}
		key := groupKey(family, ports)
		g := byKey[key]
		if g == nil {
			g = &group{key: key, family: family, ports: ports}
			byKey[key] = g
			out = append(out, g)
		}
		if len(g.endpoints) == maxEndpoints {
			g.skipped++
			continue
		}
		e := discoveryv1.Endpoint{
			Addresses: []string{a.ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &a.ready},
			TargetRef: a.TargetRef, NodeName: a.NodeName,
		}
		if a.Hostname != "" {
			e.Hostname = &a.Hostname
		}
		g.endpoints = append(g.endpoints, e)
	}
	slices.SortFunc(out, func(a, b *group) int { return strings.Compare(a.key, b.key) })
	return out
}

// addresses gives the valid addresses, ready ones first, each in order.
func (m mirror) addresses() []*address {
	type identity struct {
		ip    netip.Addr
		ready bool
		uid   string
	}
	known := map[identity]*address{}
	var out []*address
	add := func(list []corev1.EndpointAddress, ready bool, ports []corev1.EndpointPort) {
		for _, a := range list {
			ip, err := netip.ParseAddr(a.IP)
			if err != nil {
				continue
			}
			id := identity{ip: ip.Unmap(), ready: ready}
			if a.TargetRef != nil {
				id.uid = string(a.TargetRef.UID)
			}
			if known[id] == nil {
				known[id] = &address{EndpointAddress: a, ip: id.ip, ready: ready}
				out = append(out, known[id])
			}
			known[id].ports = append(known[id].ports, ports...)
		}
	}
	for i := range m.of.Subsets {
		subset := &m.of.Subsets[i]
		add(subset.Addresses, true, subset.Ports)
		add(subset.NotReadyAddresses, false, subset.Ports)
	}
	slices.SortStableFunc(out, func(a, b *address) int {
		switch {
		case a.ready != b.ready && a.ready:
			return -1
		case a.ready != b.ready:
			return 1
		}
		return a.ip.Compare(b.ip)
	})
	return out
}

// invalid counts what isn't an IP address.
func (m mirror) invalid() int {
	n := 0
	for i := range m.of.Subsets {
		for _, list := range [][]corev1.EndpointAddress{m.of.Subsets[i].Addresses, m.of.Subsets[i].NotReadyAddresses} {
			for _, a := range list {
				if _, err := netip.ParseAddr(a.IP); err != nil {
					n++
				}
			}
		}
	}
	return n
}

// portsOf gives ports in order, each once.
func portsOf(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b corev1.EndpointPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	ports = slices.CompactFunc(ports, func(a, b corev1.EndpointPort) bool {
		return a.Name == b.Name && a.Port == b.Port && a.Protocol == b.Protocol
	})
	out := []discoveryv1.EndpointPort{}
	for _, p := range ports {
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
	}
	return out
}

func groupKey(family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	data, err := json.Marshal(ports)
	if err != nil || len(ports) == 0 {
		return string(family)
	}
	return string(family) + string(data)
}
