package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/bus"
	"github.com/spf13/cobra"
)

// newHollow runs the real agent many times over with containers that are only
// pretended, each node with its own connection, rights, feed and facts.
func newHollow() *cobra.Command {
	var o hollow.Options
	var logLevel string
	cmd := &cobra.Command{
		Use:   "hollow",
		Short: "Run pretended nodes, to see how the cluster does at scale",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Nodes < 1 {
				return fmt.Errorf("--nodes %d: at least one", o.Nodes)
			}
			if err := setLogging(logLevel); err != nil {
				return err
			}
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			a, err := f.readAccess()
			if err != nil {
				return err
			}
			o.Connect = func(ctx context.Context, node string) (bus.Bus, error) {
				return a.connect(ctx, "node:"+node)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d hollow nodes join %s; stop them with Ctrl-C\n", o.Nodes, a.URL)
			if err := hollow.Run(cmd.Context(), o); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}
	dataFlags(cmd)
	cmd.Flags().IntVar(&o.Nodes, "nodes", 10, "how many nodes")
	cmd.Flags().StringVar(&o.Prefix, "prefix", "hollow", "how their names begin")
	cmd.Flags().DurationVar(&o.Delay, "start-delay", 100*time.Millisecond, "how long a pod takes to start")
	cmd.Flags().StringVar(&logLevel, "log-level", "warn", "what is logged to standard error: debug, info, warn or error")
	return cmd
}
