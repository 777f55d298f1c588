package main

import "github.com/spf13/cobra"

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
