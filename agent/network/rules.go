package network

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/reckon-project/reckon/events"
)

func openIPTables() (*iptables.IPTables, error) {
	ipt, err := iptables.New(iptables.Timeout(10))
	if err != nil {
		return nil, fmt.Errorf("%w: iptables is missing (apt-get install iptables): %v", events.ErrUnavailable, err)
	}
	return ipt, nil
}

func (o Options) masqueradeChain() string { return "RECKON-MASQ-" + o.suffix() }
func (o Options) forwardChain() string    { return "RECKON-FORWARD-" + o.suffix() }

// chain is one of ours: its rules, and the one jump to it.
type chain struct {
	table, name, from string
	first             bool // the jump goes before what others put there
	rules             [][]string
}

func (o Options) chains(n Network) []chain {
	pods, cluster := n.PodCIDR.String(), n.PodCIDR.String()
	if o.ClusterCIDR.IsValid() {
		cluster = o.ClusterCIDR.String()
	}
	return []chain{
		{table: "nat", name: o.masqueradeChain(), from: "POSTROUTING", rules: [][]string{
			{"!", "-s", pods, "-j", "RETURN"},
			{"-d", cluster, "-j", "RETURN"},
			{"-d", "224.0.0.0/4", "-j", "RETURN"},
			{"-j", "MASQUERADE", "--random-fully"},
		}},
		// A machine with another container engine drops what is forwarded by default.
		{table: "filter", name: o.forwardChain(), from: "FORWARD", first: true, rules: [][]string{
			{"-s", pods, "-j", "ACCEPT"},
			{"-d", pods, "-j", "ACCEPT"},
		}},
	}
}

func setRules(o Options, n Network) error {
	ipt, err := openIPTables()
	if err != nil {
		return err
	}
	for _, c := range o.chains(n) {
		if err := ipt.ClearChain(c.table, c.name); err != nil {
			return fmt.Errorf("make chain %s: %w", c.name, err)
		}
		for _, r := range c.rules {
			if err := ipt.Append(c.table, c.name, r...); err != nil {
				return fmt.Errorf("fill chain %s: %w", c.name, err)
			}
		}
		jump := []string{"-m", "comment", "--comment", "reckon pods", "-j", c.name}
		if c.first {
			err = ipt.InsertUnique(c.table, c.from, 1, jump...)
		} else {
			err = ipt.AppendUnique(c.table, c.from, jump...)
		}
		if err != nil {
			return fmt.Errorf("jump from %s to %s: %w", c.from, c.name, err)
		}
	}
	return nil
}

func removeRules(o Options) error {
	ipt, err := openIPTables()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range o.chains(Network{}) {
		errs = append(errs, removeChain(ipt, c.table, c.from, c.name))
	}
	return errors.Join(append(errs, removePortmap(ipt))...)
}

func removeChain(ipt *iptables.IPTables, table, from, name string) error {
	if ok, err := ipt.ChainExists(table, name); err != nil || !ok {
		return err
	}
	if err := removeJumps(ipt, table, from, name); err != nil {
		return err
	}
	return ipt.ClearAndDeleteChain(table, name)
}

// removeJumps deletes the rules of chain from that jump to name.
func removeJumps(ipt *iptables.IPTables, table, from, name string) error {
	rules, err := ipt.List(table, from)
	if err != nil {
		return fmt.Errorf("list %s: %w", from, err)
	}
	for i := len(rules) - 1; i > 0; i-- { // rules[0] is the chain or its policy
		if strings.HasSuffix(rules[i], "-j "+name) {
			if err := ipt.DeleteById(table, from, i); err != nil {
				return fmt.Errorf("remove a jump to %s: %w", name, err)
			}
		}
	}
	return nil
}

// removePortmap removes the chains that the portmap plugin shares among all its
// pods, once no pod has one of its own: the plugin makes them again when needed.
func removePortmap(ipt *iptables.IPTables) error {
	chains, err := ipt.ListChains("nat")
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	for _, c := range chains {
		if strings.HasPrefix(c, "CNI-DN-") {
			return nil
		}
	}
	var errs []error
	for _, c := range chains {
		if !strings.HasPrefix(c, "CNI-HOSTPORT-") {
			continue
		}
		for _, from := range []string{"PREROUTING", "OUTPUT", "POSTROUTING"} {
			errs = append(errs, removeJumps(ipt, "nat", from, c))
		}
	}
	for _, c := range chains {
		if strings.HasPrefix(c, "CNI-HOSTPORT-") {
			errs = append(errs, ipt.ClearAndDeleteChain("nat", c))
		}
	}
	return errors.Join(errs...)
}
