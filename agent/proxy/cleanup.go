package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// noService owns the lines that belong to no service.
var noService types.NamespacedName

// Cleanup removes the node's chains, jumps and route. It must not run at the
// same time as Run. Nothing there is no error.
func (p *Proxy) Cleanup(ctx context.Context) error {
	ipt, err := openIPTables()
	if err != nil {
		return fmt.Errorf("proxy: clean up: %w", err)
	}
	fixed := p.fixed()
	var errs []error
	for _, c := range fixed {
		for _, from := range c.from {
			errs = append(errs, removeJumps(ipt, c.table, from, c.name))
		}
	}
	s := &script{}
	for _, table := range []string{"nat", "filter"} {
		chains, err := ipt.ListChains(table)
		errs = append(errs, err)
		chains = slices.DeleteFunc(chains, func(name string) bool {
			isFixed := slices.ContainsFunc(fixed, func(c fixedChain) bool { return c.name == name })
			return !isFixed && !p.names.isOwn(name)
		})
		s.line(noService, "*", table)
		for _, c := range chains {
			s.line(noService, ":", c, " - [0:0]")
		}
		for _, c := range chains {
			s.line(noService, "-X ", c)
		}
		s.line(noService, "COMMIT")
	}
	errs = append(errs, restore(ctx, s), p.removeRoute())
	p.applied = applied{rules: map[types.NamespacedName]*ruleset{}}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("proxy: clean up: %w", err)
	}
	return nil
}

// removeJumps deletes the rules of chain from that jump to name.
func removeJumps(ipt *iptables.IPTables, table, from, name string) error {
	rules, err := ipt.List(table, from)
	if err != nil {
		return fmt.Errorf("list %s: %w", from, err)
	}
	for i := len(rules) - 1; i > 0; i-- { // rules[0] is the chain's policy
		if strings.HasSuffix(rules[i], "-j "+name) {
			if err := ipt.DeleteById(table, from, i); err != nil {
				return fmt.Errorf("remove a jump to %s: %w", name, err)
			}
		}
	}
	return nil
}

func (p *Proxy) removeRoute() error {
	if !p.options.ServiceCIDR.IsValid() {
		return nil
	}
	route, err := p.route()
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil // the route went with the interface
	} else if err != nil {
		return err
	}
	if err := netlink.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove the route to services: %w", err)
	}
	return nil
}
