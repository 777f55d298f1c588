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
		Node: o.nodeName, Dir: o.folder.nodeDir(), ClusterCIDR: made.PodCIDR, ServiceCIDR: services, Bridge: made.Bridge,
	})
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Node: o.nodeName, Bus: b, Dir: o.folder.nodeDir(), ContainerdAddress: o.containerd,
		CNIConfDir: made.ConfDir, CNIBinDirs: []string{o.cniBin}, PodCIDR: made.PodCIDR.String(), ClusterDNS: o.dns(),
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Follow(ctx, b.Feed()) })
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return a.Run(ctx) })
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
	if services, err = netip.ParsePrefix(o.serviceCIDR); err != nil {
		return made, services, fmt.Errorf("--service-cidr: %w", err)
	}
	options.Avoid = []netip.Prefix{services}
	made, err = network.Setup(ctx, options)
	return made, services, err
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

// newAgent is a node that joins a cluster of another machine.
func newAgent() *cobra.Command {
	var o planeOptions
	var join, token string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run a node of a cluster that runs elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			if os.Geteuid() != 0 {
				return errors.New("reckon agent starts containers and must be root: run it with sudo")
			}
			if err := setLogging(o.logLevel); err != nil {
				return err
			}
			if err := f.prepare(); err != nil {
				return err
			}
			o.folder = f
			release, err := f.claim()
			if err != nil {
				return err
			}
			defer release()
			identity := "node:" + o.nodeName
			b, err := bus.Connect(cmd.Context(), join, bus.Credentials{Identity: identity, Password: token})
			if err != nil {
				return fmt.Errorf("join %s as %s: %w", join, identity, err)
			}
			defer b.Close()
			return runNode(cmd.Context(), b, o)
		},
	}
	dataFlags(cmd)
	o.nodeFlags(cmd)
	cmd.Flags().StringVar(&join, "join", "", "the cluster's bus, nats://HOST:PORT")
	cmd.Flags().StringVar(&token, "token", "", "the node's token, as reckon token NODE prints it on a server")
	cmd.Flags().StringVar(&o.serviceCIDR, "service-cidr", "10.96.0.0/16", "range of service addresses")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "warn", "what is logged to standard error: debug, info, warn or error")
	cobra.CheckErr(cmd.MarkFlagRequired("join"))
	cobra.CheckErr(cmd.MarkFlagRequired("token"))
	return cmd
}

// newToken prints what a node proves itself with.
func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token NODE",
		Short: "Print the token with which a node joins this cluster",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			a, err := f.readAccess()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), a.token("node:"+args[0]))
			return err
		},
	}
	dataFlags(cmd)
	return cmd
}
