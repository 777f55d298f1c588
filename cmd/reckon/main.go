// Command reckon is the whole product in one binary: the cluster's servers and
// nodes, and the command line that talks to them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted && errors.Is(err, context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "reckon",
		Short: "A container orchestrator that keeps a log instead of a database",
		Long: `Reckon runs containers on a set of machines and speaks the Kubernetes API.
Every change is an event in one log; every component rebuilds what it knows from it.

  reckon up --detach              start a one-node cluster on this machine
  reckon kubectl get pods -A      the kubectl that is built in
  reckon events -f                the story of the cluster as it happens`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return readSettings(cmd)
		},
	}
	root.AddCommand(
		newUp(), newDown(), newServer(), newAgent(), newContainerLogs(), newToken(), newController(), newHollow(), newStatus(),
		newLog(), newReplay(), newExport(), newImport(), newAudit(),
		newKubectl(), newContext(), newImage(), newEvents(), newPublish(), newBacktest(), newFork(), newVerify(), newVersion(),
		newHistory(), newDiff(), newWhy(), newUndo(), newTrace(), newSchedule(), newCapacity(),
	)
	return root
}

// readSettings lets every flag be given as RECKON_FLAG or in a YAML file named
// by --config or RECKON_CONFIG; a flag on the command line wins.
func readSettings(cmd *cobra.Command) error {
	v := viper.New()
	v.SetEnvPrefix("RECKON")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if cmd.Flags().Lookup("data") == nil {
		return nil // not one of ours: kubectl's own commands
	}
	file := v.GetString("config")
	if f := cmd.Flags().Lookup("config"); f != nil && f.Changed && cmd.Annotations[ownConfig] == "" {
		file = f.Value.String()
	}
	if file != "" {
		v.SetConfigFile(file)
		if err := v.ReadInConfig(); err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
	}
	return applySettings(cmd, v)
}
