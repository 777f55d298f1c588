package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	questions "github.com/reckon-project/reckon/gateway/history"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newUndo() *cobra.Command {
	var to string
	var yes, dry bool
	var h *historian
	cmd := &cobra.Command{
		Use:   "undo OBJECT",
		Short: "Bring an earlier version of an object back",
		Long: `Bring an earlier version of an object back: by default the one before the last change that a user made.
What it changes is shown first. The version's labels, annotations, finalizers and all but its status are applied
through the API as you; an object that is gone is created again.

  reckon undo deploy/web                      the last change
  reckon undo deploy/web --to 120             as it was at sequence 120
  reckon undo cm/settings --to 2h --yes       without being asked`,
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
			if to != "" {
				query.Set("to", to)
			}
			var plan history.Undo
			if _, err := h.about(cmd.Context(), "undo", s, query, &plan); err != nil {
				return err
			}
			if err := plan.Write(out, h.style(out)); err != nil || dry {
				return err
			}
			if !yes {
				if err := confirm(cmd.InOrStdin(), out); err != nil {
					return err
				}
			}
			query.Set("to", fmt.Sprint(plan.To))
			query.Set("resourceVersion", plan.Version)
			var done questions.Undone
			if _, err := h.ask(cmd.Context(), http.MethodPost, questions.Path("undo", plan.Object.Key()), query, &done); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "%s is as it was at #%d (event %s)\n", plan.Object.Key(), done.To, done.Version)
			return err
		},
	}
	h = historyFlags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "the moment whose version comes back: a sequence, an age or a time")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	return cmd
}

var errNotDone = errors.New("nothing was changed")

// confirm asks on a terminal; elsewhere nobody can answer.
func confirm(in io.Reader, out io.Writer) error {
	if f, ok := in.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		return fmt.Errorf("%w: nobody can be asked here: give --yes", errNotDone)
	}
	if _, err := fmt.Fprint(out, "Do it? [y/N] "); err != nil {
		return err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotDone
}
