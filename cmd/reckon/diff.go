package main

import (
	"net/http"
	"net/url"

	questions "github.com/reckon-project/reckon/gateway/history"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

func newDiff() *cobra.Command {
	var output, from, to string
	var status bool
	var h *historian
	cmd := &cobra.Command{
		Use:   "diff --from WHEN [--to WHEN]",
		Short: "Show what differs in the cluster between two moments",
		Long: `Show which objects were created, deleted and changed between two moments, and what changed of them.
A moment is a sequence of the log, an age (10m, 3d) or a time (RFC 3339).

  reckon diff --from 1h                       the last hour, the whole cluster
  reckon diff --from 3d --to 2d -n prod       one namespace
  reckon diff --from 10m --status             with what changed in status only`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.begin(cmd); err != nil {
				return err
			}
			query := url.Values{"from": {from}, "to": {to}}
			if *h.flags.Namespace != "" {
				query.Set("namespace", *h.flags.Namespace)
			}
			out := cmd.OutOrStdout()
			var d history.Difference
			body, err := h.ask(cmd.Context(), http.MethodGet, questions.Prefix+"diff", query, &d)
			if isGone(err) && !cmd.Flags().Changed("from") { // a younger cluster: all of its life
				query.Set("from", "1")
				body, err = h.ask(cmd.Context(), http.MethodGet, questions.Prefix+"diff", query, &d)
			}
			if err != nil {
				return err
			}
			if done, err := written(out, output, body); done {
				return err
			}
			style := h.style(out)
			style.Status = status
			return d.Write(out, style)
		},
	}
	h = historyFlags(cmd)
	cmd.Flags().Lookup("namespace").Usage = "only this namespace (default: the whole cluster)"
	cmd.Flags().StringVar(&from, "from", "1h", "the earlier moment")
	cmd.Flags().StringVar(&to, "to", "now", "the later moment")
	cmd.Flags().BoolVar(&status, "status", false, "show changes of status too")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	return cmd
}
