package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reckon-project/reckon/scheduler"
	"github.com/spf13/cobra"
)

// ownConfig marks a command whose --config is about something else than settings.
const ownConfig = "own-config"

func newBacktestScheduler() *cobra.Command {
	var file string
	var b backtest
	cmd := &cobra.Command{
		Use:   "scheduler",
		Short: "Place the pods of the past by another configuration",
		Long: `Place the pods of a part of the past by another scheduler configuration, and compare with the placements on record.

Pods come and go and nodes change as they did. What the tried configuration decides stays decided: a pod that it
put on another node takes up that node until the pod ends. The same log and configuration give the same answer.

  reckon backtest scheduler --config new.yaml --from 2h --to 1h
  reckon backtest scheduler --from 12000            the default configuration
  reckon backtest scheduler --config new.yaml --from 7d -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := schedulerConfig(file)
			if err != nil {
				return err
			}
			return runBacktest(cmd, &b, "placing", func(ctx context.Context, p played) (*scheduler.Backtest, error) {
				return scheduler.RunBacktest(ctx, p.projection, p.from, p.to, config, p.progress)
			}, printBacktest)
		},
	}
	cmd.Annotations = map[string]string{ownConfig: "yes"}
	cmd.Flags().String("data", defaultData, "folder that holds all state of the cluster on this machine")
	cmd.Flags().StringVar(&file, "config", "", "a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1); none: the default one")
	b.flags(cmd, "moved pods")
	return cmd
}

func printBacktest(w io.Writer, b *scheduler.Backtest, show int) error {
	fmt.Fprintf(w, "From %d (%s) to %d (%s)\n\n", b.From, b.Began.Local().Format(time.DateTime), b.To, b.Ended.Local().Format(time.DateTime))
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tRECORDED\tTRIED\t\n")
	row := func(name string, format string, recorded, tried any) {
		fmt.Fprintf(t, "%-32s\t"+format+"\t"+format+"\t\n", name, recorded, tried)
	}
	row("pods placed", "%d", b.Recorded.Placed, b.Tried.Placed)
	row("pods that had to wait", "%d", b.Recorded.Waited, b.Tried.Waited)
	row("pods waiting at the end", "%d", b.Recorded.Waiting, b.Tried.Waiting)
	row("nodes with pods, mean", "%.1f", b.Recorded.Nodes, b.Tried.Nodes)
	row("nodes with pods, most", "%d", b.Recorded.MostNodes, b.Tried.MostNodes)
	row("cpu requested of these nodes'", "%.1f %%", 100*b.Recorded.CPU, 100*b.Tried.CPU)
	row("memory requested of these nodes'", "%.1f %%", 100*b.Recorded.Memory, 100*b.Tried.Memory)
	if err := t.Flush(); err != nil {
		return err
	}
	if len(b.Moved) == 0 {
		_, err := fmt.Fprintf(w, "\nEvery pod is where it was placed.\n")
		return err
	}
	fmt.Fprintf(w, "\n%d of %d pods are elsewhere:\n\n", len(b.Moved), b.Same+len(b.Moved))
	t = tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "SEQUENCE\tPOD\tRECORDED\tTRIED\tWHY\n")
	for i, m := range b.Moved {
		if show > 0 && i == show {
			break
		}
		at := "-"
		if m.At != 0 {
			at = fmt.Sprint(m.At)
		}
		fmt.Fprintf(t, "%s\t%s/%s\t%s\t%s\t%s\n", at, m.Pod.Namespace, m.Pod.Name, orWaits(m.Recorded), orWaits(m.Tried), whyTried(m.Why))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(b.Moved) - show; show > 0 && more > 0 {
		fmt.Fprintf(w, "and %d more (--show 0 lists all)\n", more)
	}
	return nil
}

func orWaits(node string) string {
	if node == "" {
		return "(waits)"
	}
	return node
}

// whyTried is what the chosen node scored, and how many it was chosen from.
func whyTried(p scheduler.Placement) string {
	if p.Node == "" {
		return p.Message
	}
	parts := make([]string, 0, len(p.Scores))
	for _, s := range p.Scores {
		parts = append(parts, fmt.Sprintf("%s %d", s.Name, s.Score))
	}
	return fmt.Sprintf("best of %d: %s", p.Feasible, strings.Join(parts, ", "))
}
