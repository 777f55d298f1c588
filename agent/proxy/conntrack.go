package proxy

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// flow is what conntrack may remember of a UDP service port. It has no end of
// connection, so a client that goes on sending would stay with an endpoint that is gone.
type flow struct {
	ip        string // "": any, a node port
	port      uint16
	endpoints []endpoint
}

func (w *portWriter) flow(ip string, port int32) {
	if protocolOf(w.port) == corev1.ProtocolUDP {
		w.flows = append(w.flows, flow{ip, uint16(port), w.all})
	}
}

// staleFlow matches the entries of one address that go elsewhere than to its endpoints.
type staleFlow struct {
	ip    netip.Addr
	port  uint16
	valid map[netip.Addr]bool
}

// staleFlows compares what a service's entries were made by with what holds now.
func staleFlows(old, now *ruleset) []staleFlow {
	var out []staleFlow
	for _, was := range old.flows {
		valid := map[netip.Addr]bool{}
		for _, is := range now.flows {
			if is.ip == was.ip && is.port == was.port {
				for _, e := range is.endpoints {
					valid[e.addr.Addr()] = true
				}
			}
		}
		stale := len(was.endpoints) == 0 && len(valid) > 0 // what was sent before there was an endpoint
		for _, e := range was.endpoints {
			stale = stale || !valid[e.addr.Addr()]
		}
		if !stale {
			continue
		}
		ip, err := netip.ParseAddr(was.ip)
		if err != nil {
			ip = netip.Addr{}
		}
		out = append(out, staleFlow{ip, was.port, valid})
	}
	return out
}

// matcher is netlink's filter: it matches what should be forgotten.
type matcher []staleFlow

func (m matcher) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	if f.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, _ := netip.AddrFromSlice(f.Forward.DstIP.To4())
	from, _ := netip.AddrFromSlice(f.Reverse.SrcIP.To4())
	for _, s := range m {
		if f.Forward.DstPort == s.port && (!s.ip.IsValid() || s.ip == to) && !s.valid[from] && (s.ip.IsValid() || from != to) {
			return true
		}
	}
	return false
}

func forget(stale []staleFlow) error {
	if len(stale) == 0 {
		return nil
	}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, matcher(stale)); err != nil {
		return fmt.Errorf("forget connections to endpoints that are gone: %w", err)
	}
	return nil
}
