package network

import (
	"fmt"
	"net/netip"

	"github.com/reckon-project/reckon/events"
	"github.com/vishvananda/netlink"
)

// pickPodCIDR chooses a /24 that overlaps no route, no address and nothing to avoid.
func pickPodCIDR(avoid []netip.Prefix) (netip.Prefix, error) {
	used, err := usedPrefixes()
	if err != nil {
		return netip.Prefix{}, err
	}
	used = append(used, avoid...)
	for second := 42; second < 250; second += 10 {
		for third := range 256 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), byte(third), 0}), 24)
			if !overlapsAny(p, used) {
				return p, nil
			}
		}
	}
	return netip.Prefix{}, fmt.Errorf("%w: no free pod range found in 10.0.0.0/8: name one", events.ErrInvalid)
}

func overlapsAny(p netip.Prefix, used []netip.Prefix) bool {
	for _, u := range used {
		if p.Overlaps(u) {
			return true
		}
	}
	return false
}

// usedPrefixes are those that this network namespace routes or owns.
func usedPrefixes() ([]netip.Prefix, error) {
	var used []netip.Prefix
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		bits, _ := r.Dst.Mask.Size()
		if ok && bits > 0 { // the default route covers all, and clashes with nothing
			used = append(used, netip.PrefixFrom(addr, bits))
		}
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			bits, _ := a.Mask.Size()
			used = append(used, netip.PrefixFrom(addr, bits).Masked())
		}
	}
	return used, nil
}
