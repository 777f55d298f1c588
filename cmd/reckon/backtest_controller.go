package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/builtin"
	"github.com/spf13/cobra"
)

func newBacktestController() *cobra.Command {
	var b backtest
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
			return runBacktest(cmd, &b, "deciding", func(ctx context.Context, p played) (*controllers.Backtest, error) {
				return controllers.RunBacktest(ctx, p.projection, p.from, p.to, all[i], p.progress)
			}, printControllerBacktest)
		},
	}
	dataFlags(cmd)
	b.flags(cmd, "differences")
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

func printControllerBacktest(w io.Writer, b *controllers.Backtest, show int) error {
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
	return nil
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
