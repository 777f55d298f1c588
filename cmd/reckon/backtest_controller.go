package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/builtin"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
)

func newBacktestController() *cobra.Command {
	var from, to, output string
	var show int
	cmd := &cobra.Command{
		Use:   "controller NAME",
		Short: "Call a controller on the states of the past",
		Long: `Call a controller, as it is in this program, on the states of the past that it wrote something in, and compare what it
would write with what is on record: what another version would do differently, before it runs.

  reckon backtest controller deployment --from 2h
  reckon backtest controller replicaset --from 12000 --to 15000 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(controllerNames(backtestable()), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			all := backtestable()
			i := slices.IndexFunc(all, func(c *controllers.Controller) bool {
				return c.Name() == args[0] || strings.TrimSuffix(c.Name(), "-controller") == args[0]
			})
			if i < 0 {
				return fmt.Errorf("no controller %q: there are %s", args[0], strings.Join(controllerNames(all), ", "))
			}
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q is none of table, json", output)
			}
			return withPast(cmd, func(ctx context.Context, b bus.Bus, p *projections.Projection) error {
				first, last, err := moments(ctx, b.Log(), from, to, time.Now())
				if err != nil {
					return err
				}
				meter := newMeter(cmd.ErrOrStderr(), "deciding", first, last)
				report, err := controllers.RunBacktest(ctx, p, first, last, all[i], meter.reached)
				meter.end()
				if err != nil {
					return err
				}
				if output == "json" {
					e := json.NewEncoder(cmd.OutOrStdout())
					e.SetIndent("", "  ")
					return e.Encode(report)
				}
				printControllerBacktest(cmd.OutOrStdout(), report, show)
				return nil
			})
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVar(&from, "from", "1h", "where to begin: a sequence, an age or a time")
	cmd.Flags().StringVar(&to, "to", "now", "where to end")
	cmd.Flags().IntVar(&show, "show", 20, "how many differences to list; 0: all")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// backtestable are the built-in controllers; those that need more than the log
// refuse by themselves.
func backtestable() []*controllers.Controller {
	return builtin.Controllers(builtin.Settings{})
}

func controllerNames(all []*controllers.Controller) []string {
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, strings.TrimSuffix(c.Name(), "-controller"))
	}
	slices.Sort(names)
	return names
}

func printControllerBacktest(w io.Writer, b *controllers.Backtest, show int) {
	fmt.Fprintf(w, "%s from %d to %d: %d decisions on record, %d would be the same", b.Controller, b.From, b.To, b.Decisions, b.Same)
	if b.Outside > 0 {
		fmt.Fprintf(w, ", %d more answer what lies before and can't be compared", b.Outside)
	}
	fmt.Fprintln(w, ".")
	for i, d := range b.Differences {
		if show > 0 && i == show {
			fmt.Fprintf(w, "\nand %d more (--show 0 lists all)\n", len(b.Differences)-show)
			break
		}
		printDifference(w, fmt.Sprintf("At %d, about %s:", d.At, d.Key), d)
	}
	for _, d := range b.Unanswered {
		printDifference(w, fmt.Sprintf("At the end, about %s, it would write what is not on record:", d.Key), d)
	}
}

func printDifference(w io.Writer, head string, d controllers.Difference) {
	fmt.Fprintf(w, "\n%s\n", head)
	for _, side := range []struct {
		name  string
		lines []string
	}{{"recorded", d.Recorded}, {"tried", d.Tried}} {
		if len(side.lines) == 0 {
			side.lines = []string{"nothing"}
		}
		for i, line := range side.lines {
			name := side.name
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(w, "  %-9s %s\n", name, line)
		}
	}
}
