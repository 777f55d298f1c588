package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reckon-project/reckon/controllers/nodeipam"
)

// rangeFlags say how the cluster gives out addresses: ranges to nodes, nodes to
// services.
func (o *planeOptions) rangeFlags(cmd *cobra.Command, serviceLB bool) {
	f := cmd.Flags()
	if f.Lookup("cluster-cidr") == nil {
		f.StringVar(&o.clusterCIDR, "cluster-cidr", "", "range (or one of each family, separated by a comma) of which nodes that have no pod range get one (default: they stay without)")
	}
	f.IntVar(&o.nodeBits, "node-cidr-mask-size", 0, "length of a node's range within --cluster-cidr (default 24, 64 for IPv6)")
	f.BoolVar(&o.serviceLB, "service-lb", serviceLB, "services of type LoadBalancer get the nodes' addresses")
}

// podRanges are the ranges of --cluster-cidr.
func (o *planeOptions) podRanges() (nodeipam.Ranges, error) {
	var r nodeipam.Ranges
	if o.clusterCIDR == "" {
		return r, nil
	}
	for text := range strings.SplitSeq(o.clusterCIDR, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return r, fmt.Errorf("--cluster-cidr: %w", err)
		}
		bits := o.nodeBits
		if p.Addr().Is6() {
			bits = 0
		} else if bits == 0 {
			bits = max(24, p.Bits())
		}
		r.Cluster, r.Bits = append(r.Cluster, p), append(r.Bits, bits)
	}
	if err := r.Check(); err != nil {
		return r, fmt.Errorf("--cluster-cidr: %w", err)
	}
	return r, nil
}

// ownPorts are those that the server listens on, which no service may have.
func (o *planeOptions) ownPorts() []int32 {
	var out []int32
	for _, address := range []string{o.listen, o.natsListen} {
		_, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil {
			out = append(out, int32(n))
		}
	}
	return out
}
