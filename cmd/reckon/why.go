package main

import (
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

func newWhy() *cobra.Command {
	var output, field string
	var h *historian
	cmd := &cobra.Command{
		Use:   "why OBJECT[.field]",
		Short: "Explain from the log why something is as it is",
		Long: `Explain why an object is as it is, or was as it was in the end: a tree of the events that led to it,
from whoever wanted it to the facts. Nothing in it is guessed: where no cause is recorded, it says so.

  reckon why pod/web-1                        why it is here, pending, restarted or gone
  reckon why deploy/web                       who made it what it is
  reckon why deploy/web.spec.replicas         who gave a field its value
  reckon why cm/settings --field 'data[app.yaml]'`,
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.begin(cmd); err != nil {
				return err
			}
			s, query, err := h.question(args, field)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			var a history.Answer
			body, err := h.about(cmd.Context(), "why", s, query, &a)
			if err != nil {
				return err
			}
			if done, err := written(out, output, body); done {
				return err
			}
			return a.Write(out, h.style(out))
		},
	}
	h = historyFlags(cmd)
	cmd.Flags().StringVar(&field, "field", "", "the field asked about, for a name that holds dots")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	return cmd
}
