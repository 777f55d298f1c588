package main

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

func newHistory() *cobra.Command {
	var output, at, diff, since string
	var last int
	var h *historian
	cmd := &cobra.Command{
		Use:   "history OBJECT",
		Short: "Show everything that happened to an object",
		Long: `Show every event of an object, one line each: when, what, who, and what changed by it.
Objects that are gone, and earlier ones of the same name, are shown too. Values of Secrets are not.

  reckon history deploy/web                   what happened to it
  reckon history pod web-1 -n prod --last 10
  reckon history deploy/web --diff 1h..now    what differs between two moments
  reckon history deploy/web --at 120 -o yaml  it as it was at sequence 120`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.begin(cmd); err != nil {
				return err
			}
			s, err := h.subject(args)
			if err != nil {
				return err
			}
			query, out := url.Values{}, cmd.OutOrStdout()
			switch {
			case at != "" && diff != "":
				return fmt.Errorf("--at and --diff can't be given together")
			case at != "":
				query.Set("version", at)
				body, err := h.about(cmd.Context(), "objects", s, query, nil)
				if err != nil {
					return err
				}
				if output == "" {
					output = "yaml"
				}
				_, err = written(out, output, body)
				return err
			case diff != "":
				query.Set("diff", diff)
				var versions history.Versions
				body, err := h.about(cmd.Context(), "objects", s, query, &versions)
				if err != nil {
					return err
				}
				if done, err := written(out, output, body); done {
					return err
				}
				return versions.Write(out, h.style(out))
			}
			if since != "" {
				query.Set("since", since)
			}
			if last > 0 {
				query.Set("last", strconv.Itoa(last))
			}
			var life history.Life
			body, err := h.about(cmd.Context(), "objects", s, query, &life)
			if err != nil {
				return err
			}
			if done, err := written(out, output, body); done {
				return err
			}
			return life.Write(out, h.style(out))
		},
	}
	h = historyFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml: the events, or with --at the object")
	cmd.Flags().StringVar(&at, "at", "", "show the object as it was then: a sequence, an age (10m) or a time")
	cmd.Flags().StringVar(&at, "to", "", "the same as --at")
	cmd.Flags().StringVar(&diff, "diff", "", "A..B: what differs between two moments")
	cmd.Flags().StringVar(&since, "since", "", "only what happened after this moment")
	cmd.Flags().IntVar(&last, "last", 0, "only so many of the newest events")
	return cmd
}
