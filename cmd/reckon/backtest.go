package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
)

func newBacktest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backtest",
		Short: "Decide a part of the past again, and compare",
		Long: `Decide a part of the past again with what is in this program, and compare with what is on record. Nothing is written.

  reckon backtest scheduler --config new.yaml --from 2h
  reckon backtest controller deployment --from 2h`,
	}
	cmd.AddCommand(newBacktestScheduler(), newBacktestController())
	return cmd
}

// backtest is what all backtests are told.
type backtest struct {
	from, to, output string
	show             int
}

// flags adds them; listed is what there may be too many of to show.
func (b *backtest) flags(cmd *cobra.Command, listed string) {
	cmd.Flags().StringVar(&b.from, "from", "1h", "where to begin: a sequence, an age or a time")
	cmd.Flags().StringVar(&b.to, "to", "now", "where to end")
	cmd.Flags().IntVar(&b.show, "show", 20, "how many "+listed+" to list; 0: all")
	cmd.Flags().StringVarP(&b.output, "output", "o", "table", "table or json")
}

// played is a part of the past to decide again.
type played struct {
	projection *projections.Projection
	from, to   uint64
	progress   func(position uint64)
}

// runBacktest has test decide, and shows its report.
func runBacktest[R any](cmd *cobra.Command, b *backtest, doing string, test func(context.Context, played) (R, error), print func(io.Writer, R, int) error) error {
	if b.output != "table" && b.output != "json" {
		return fmt.Errorf("--output %q is none of table, json", b.output)
	}
	return withPast(cmd, func(ctx context.Context, on bus.Bus, p *projections.Projection) error {
		from, to, err := moments(ctx, on.Log(), b.from, b.to, time.Now())
		if err != nil {
			return err
		}
		meter := newMeter(cmd.ErrOrStderr(), doing, from, to)
		report, err := test(ctx, played{p, from, to, meter.reached})
		meter.end()
		if err != nil {
			return err
		}
		if b.output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(report)
		}
		return print(cmd.OutOrStdout(), report, b.show)
	})
}
