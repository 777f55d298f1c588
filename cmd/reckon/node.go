package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/containerd"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/network"
	"github.com/reckon-project/reckon/agent/proxy"
	"github.com/reckon-project/reckon/bus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// runNode runs this machine's node on its own connection to the bus until ctx
// ends: the pods' network, services, and the agent.
func runNode(ctx context.Context, b bus.Bus, o planeOptions) error {
	made, services, err := setUpNetwork(ctx, o)
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Options{
		Node: o.nodeName, Dir: o.folder.nodeDir(), ClusterCIDR: o.clusterRange(made), ServiceCIDR: services, Bridge: made.Bridge,
	})
	if err != nil {
		return err
	}
	logger, err := loggerCommand()
	if err != nil {
		return err
	}
	options := agent.Options{
		Node: o.nodeName, Bus: b, Dir: o.folder.nodeDir(), ContainerdAddress: o.containerd, RuntimeName: o.runtime, Logger: logger,
		CNIConfDir: made.ConfDir, CNIBinDirs: []string{o.cniBin}, PodCIDR: made.PodCIDR.String(), ClusterDNS: o.dns(),
	}
	if err := o.upkeep.apply(&options); err != nil {
		return err
	}
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Follow(ctx, b.Feed()) })
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error { return o.upkeep.endWithMachine(ctx, a) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("node %s: %w", o.nodeName, err)
	}
	return nil
}

func setUpNetwork(ctx context.Context, o planeOptions) (made network.Network, services netip.Prefix, err error) {
	options := o.folder.network()
	if o.podCIDR != "" {
		if options.PodCIDR, err = netip.ParsePrefix(o.podCIDR); err != nil {
			return made, services, fmt.Errorf("--pod-cidr: %w", err)
		}
	}
	if o.clusterCIDR != "" {
		if options.ClusterCIDR, err = netip.ParsePrefix(o.clusterCIDR); err != nil {
			return made, services, fmt.Errorf("--cluster-cidr: %w", err)
		}
	}
	if services, err = netip.ParsePrefix(o.serviceCIDR); err != nil {
		return made, services, fmt.Errorf("--service-cidr: %w", err)
	}
	options.Avoid = []netip.Prefix{services}
	made, err = network.Setup(ctx, options)
	return made, services, err
}

// clusterRange is the range of all nodes' pods.
func (o *planeOptions) clusterRange(made network.Network) netip.Prefix {
	if p, err := netip.ParsePrefix(o.clusterCIDR); err == nil {
		return p
	}
	return made.PodCIDR
}

func (f folder) network() network.Options { return network.Options{Dir: f.nodeDir()} }

func (o *planeOptions) dns() []string {
	if o.clusterDNS == "" {
		return nil
	}
	return []string{o.clusterDNS}
}

// purgeNode removes what the folder's node made on this machine.
func (f folder) purgeNode(ctx context.Context) error {
	if _, err := os.Stat(f.nodeDir()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p, err := proxy.New(proxy.Options{Dir: f.nodeDir()})
	if err != nil {
		return err
	}
	return errors.Join(
		agent.Purge(ctx, agent.Options{Dir: f.nodeDir(), CNIConfDir: filepath.Join(f.nodeDir(), "cni", "net.d")}),
		p.Cleanup(ctx),
		network.Teardown(ctx, f.network()),
	)
}

// containerdOf connects to the containerd that a command is about.
func containerdOf(cmd *cobra.Command) (*cri.Client, error) {
	address, err := cmd.Flags().GetString("containerd")
	if err != nil {
		return nil, err
	}
	if address == "" {
		f, err := dataFolder(cmd)
		if err != nil {
			return nil, err
		}
		layout := containerd.Layout{Dir: f.nodeDir()}
		if !layout.Running() {
			return nil, fmt.Errorf("no containerd runs for the node in %s: start the cluster with reckon up, or name a socket with --containerd", f)
		}
		address = layout.Address()
	}
	client, err := cri.Dial(address)
	if err != nil {
		return nil, fmt.Errorf("containerd at %s doesn't answer: %w", address, err)
	}
	return client, nil
}
