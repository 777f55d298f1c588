package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-iptables/iptables"
	"github.com/reckon-project/reckon/events"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fixedChain is a chain that doesn't depend on services, with its jumps.
type fixedChain struct {
	table, name string
	rules       []string // nil: sync writes them
	from        []string // chains that jump to it
	when        []string // what the jumps match
}

func (p *Proxy) fixed() []fixedChain {
	isNew := []string{"-m", "conntrack", "--ctstate", "NEW"}
	return []fixedChain{
		{table: "nat", name: p.names.nodePorts()},
		{table: "nat", name: p.names.services(), from: []string{"PREROUTING", "OUTPUT"}},
		{table: "nat", name: p.names.postrouting(), from: []string{"POSTROUTING"}, rules: []string{
			"-m mark ! --mark " + mark + " -j RETURN",
			"-j MARK --xor-mark 0x20000", // not masqueraded twice, should the packet come by again
			"-j MASQUERADE --random-fully",
		}},
		{table: "nat", name: p.names.hairpin(), from: []string{"POSTROUTING"}, when: []string{"-m", "conntrack", "--ctstate", "DNAT"}},
		{table: "filter", name: p.names.forward(), from: []string{"FORWARD"}, rules: []string{
			"-m conntrack --ctstate INVALID -j DROP", // it would reach the client untranslated, and be answered by a reset
			"-m mark --mark " + mark + " -j ACCEPT",
			"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		}},
		{table: "filter", name: p.names.reject(), from: []string{"FORWARD", "OUTPUT"}, when: isNew},
		{table: "filter", name: p.names.nodeReject(), from: []string{"INPUT"}, when: isNew},
	}
}

// prepare makes the fixed chains and jumps, and the route to services. It
// reports whether an earlier start left rules of services.
func (p *Proxy) prepare(ctx context.Context) (left bool, err error) {
	ipt, err := openIPTables()
	if err != nil {
		return false, err
	}
	chains, err := ipt.ListChains("nat")
	if err != nil {
		return false, fmt.Errorf("list chains: %w", err)
	}
	p.applied.other = map[string]struct{}{}
	for _, c := range chains {
		if p.names.isOwn(c) {
			p.applied.other[c] = struct{}{}
		}
	}
	p.applied.all = true
	s := &script{}
	owner := noService
	for _, table := range []string{"nat", "filter"} {
		s.line(owner, "*", table)
		for _, c := range p.fixed() {
			if c.table != table {
				continue
			}
			if len(c.rules) > 0 {
				s.line(owner, ":", c.name, " - [0:0]")
				for _, r := range c.rules {
					s.line(owner, "-A ", c.name, " ", r)
				}
			}
		}
		s.line(owner, "COMMIT")
	}
	for _, c := range p.fixed() {
		if ok, err := ipt.ChainExists(c.table, c.name); err != nil {
			return false, fmt.Errorf("look for chain %s: %w", c.name, err)
		} else if !ok {
			if err := ipt.NewChain(c.table, c.name); err != nil {
				return false, fmt.Errorf("make chain %s: %w", c.name, err)
			}
		}
	}
	if err := restore(ctx, s); err != nil {
		return false, err
	}
	for _, c := range p.fixed() {
		for _, from := range c.from {
			if err := ipt.InsertUnique(c.table, from, 1, c.jump()...); err != nil {
				return false, fmt.Errorf("jump from %s to %s: %w", from, c.name, err)
			}
		}
	}
	p.signal()
	return len(p.applied.other) > 0, errors.Join(p.setLocalnet(), p.setRoute())
}

func (c fixedChain) jump() []string {
	return append(append([]string{}, c.when...), "-m", "comment", "--comment", "reckon services", "-j", c.name)
}

// check looks whether the rules are still there, and writes all anew if not.
func (p *Proxy) check(ctx context.Context) {
	ipt, err := openIPTables()
	if err != nil {
		p.options.Log.Error("can't look at iptables", "error", err)
		return
	}
	for _, c := range p.fixed() {
		for _, from := range c.from {
			if ok, err := ipt.Exists(c.table, from, c.jump()...); err == nil && ok {
				continue
			}
			p.options.Log.Warn("the rules for services are gone, writing them anew", "chain", c.name)
			if _, err := p.prepare(ctx); err != nil {
				p.options.Log.Error("can't write the rules for services", "error", err)
			}
			return
		}
	}
}

func openIPTables() (*iptables.IPTables, error) {
	ipt, err := iptables.New(iptables.Timeout(10))
	if err != nil {
		return nil, fmt.Errorf("%w: iptables is missing (apt-get install iptables): %v", events.ErrUnavailable, err)
	}
	return ipt, nil
}

// setLocalnet lets node ports be reached at 127.0.0.1 on the node itself.
func (p *Proxy) setLocalnet() error {
	const path = "/proc/sys/net/ipv4/conf/all/route_localnet"
	if have, err := os.ReadFile(path); err == nil && len(have) > 0 && have[0] == '1' {
		return nil
	}
	if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("let node ports be reached at 127.0.0.1: %w", err)
	}
	return nil
}

// setRoute gives cluster IPs a route: without one the node itself couldn't
// even begin to connect, before any rule is looked at.
func (p *Proxy) setRoute() error {
	if !p.options.ServiceCIDR.IsValid() {
		return nil
	}
	route, err := p.route()
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route %s over %s: %w", p.options.ServiceCIDR, p.options.Bridge, err)
	}
	return nil
}

func (p *Proxy) route() (*netlink.Route, error) {
	link, err := netlink.LinkByName(p.options.Bridge)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", p.options.Bridge, err)
	}
	c := p.options.ServiceCIDR.Masked()
	return &netlink.Route{
		LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_STATIC,
		Dst: &net.IPNet{IP: c.Addr().AsSlice(), Mask: net.CIDRMask(c.Bits(), 32)},
	}, nil
}
