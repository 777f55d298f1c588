package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/spf13/cobra"
)

// newAgent is a node that joins a cluster of another machine.
func newAgent() *cobra.Command {
	var o planeOptions
	var join, token string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run a node of a cluster that runs elsewhere",
		Long: `Run a node of a cluster that runs elsewhere. The node needs no open port: it
connects to the cluster's bus, checks by its token that it is the right one, and
does everything over that connection.

  reckon token n2                                       on a server: prints the token
  reckon agent --node-name n2 --join HOST:4222 --token TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			if os.Geteuid() != 0 {
				return errors.New("reckon agent starts containers and must be root: run it with sudo")
			}
			t, err := parseJoinToken(token)
			if err != nil {
				return err
			}
			o.folder = f
			return runFolder(cmd, f, false, func(ctx context.Context, say *progress) error {
				return runAgent(ctx, o, busURL(join), t, say)
			})
		},
	}
	dataFlags(cmd)
	o.nodeFlags(cmd)
	cmd.Flags().StringVar(&join, "join", "", "the cluster's bus, HOST:PORT; several separated by commas")
	cmd.Flags().StringVar(&token, "token", "", "the node's token, as reckon token NODE prints it on a server")
	cmd.Flags().StringVar(&o.serviceCIDR, "service-cidr", "10.96.0.0/16", "range of service addresses")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "warn", "what is logged to standard error: debug, info, warn or error")
	cobra.CheckErr(cmd.MarkFlagRequired("join"))
	cobra.CheckErr(cmd.MarkFlagRequired("token"))
	return cmd
}

func runAgent(ctx context.Context, o planeOptions, url string, t joinToken, say *progress) error {
	if err := setLogging(o.logLevel); err != nil {
		return err
	}
	identity := "node:" + o.nodeName
	b, err := bus.Connect(ctx, url, bus.Credentials{Identity: identity, Password: t.password, TLS: trust.Pinned(t.authority)})
	if err != nil {
		return fmt.Errorf("join %s as %s: %w", url, identity, err)
	}
	defer b.Close()
	say.say("node      %s has joined %s", o.nodeName, url)
	return runNode(ctx, b, o)
}
