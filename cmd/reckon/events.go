package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
)

// eventFilter says which events are shown.
type eventFilter struct {
	object    *events.Key
	namespace string
	types     map[string]bool
	actor     string
	since     time.Time
	voidOnly  bool
}

func (f *eventFilter) match(c projections.Change) bool {
	e := c.Event
	switch {
	case f.object != nil && e.Key != *f.object:
	case f.namespace != "" && e.Key.Namespace != f.namespace:
	case len(f.types) > 0 && !f.types[e.Type]:
	case f.actor != "" && e.Actor != f.actor && e.Source != f.actor && e.Reporter != f.actor:
	case e.Time.Before(f.since):
	case f.voidOnly && c.Void == nil:
	default:
		return true
	}
	return false
}

func newEvents() *cobra.Command {
	var (
		follow, voids            bool
		object, namespace, actor string
		output, since            string
		types                    []string
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show the events of the log, one line each",
		Long: `Show the events of the log, oldest first. An event that had no effect is shown as void, with the reason.

  reckon events -f                         the story as it happens
  reckon events --object deploy/web        one object's life
  reckon events -n prod --since 10m --type scaled,scheduled
  reckon events -o cloudevents             CloudEvents 1.0, JSON, one a line`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter := eventFilter{actor: actor, voidOnly: voids, types: map[string]bool{}}
			for _, t := range types {
				if _, ok := events.Types[t]; !ok {
					return fmt.Errorf("unknown event type %q: the types are %s", t, typeNames())
				}
				filter.types[t] = true
			}
			if object != "" {
				ns := namespace
				if ns == "" {
					ns = "default"
				}
				k, err := parseObject(object, ns)
				if err != nil {
					return err
				}
				filter.object = &k
			} else {
				filter.namespace = namespace
			}
			if since != "" {
				t, err := parseSince(since, time.Now())
				if err != nil {
					return err
				}
				filter.since = t
			}
			printer, err := newEventPrinter(cmd.OutOrStdout(), output)
			if err != nil {
				return err
			}
			b, err := connect(cmd)
			if err != nil {
				return err
			}
			defer b.Close()
			return showEvents(cmd.Context(), b.Log(), &filter, follow, printer)
		},
	}
	dataFlags(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing events as they happen")
	cmd.Flags().BoolVar(&voids, "void", false, "only events that had no effect")
	cmd.Flags().StringVar(&object, "object", "", "only this object, KIND/NAME or KIND/NAMESPACE/NAME")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "only this namespace")
	cmd.Flags().StringSliceVar(&types, "type", nil, "only these types of events")
	cmd.Flags().StringVar(&actor, "actor", "", "only what this user, component or node did")
	cmd.Flags().StringVar(&since, "since", "", "only newer than this age (10m) or RFC 3339 time")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or cloudevents")
	return cmd
}

// parseSince reads an age ("10m") or an RFC 3339 time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q is neither an age like 10m nor a time like 2026-01-02T15:04:05Z", text)
	}
	return t, nil
}

// showEvents folds the log, because only the fold knows which events are void,
// and prints what matches.
func showEvents(ctx context.Context, log logSource, filter *eventFilter, follow bool, printer eventPrinter) error {
	_, last, err := log.Range(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := projections.New(log)
	folded := make(chan error, 1)
	go func() { folded <- p.Run(ctx) }()
	defer func() { cancel(); <-folded }()
	if last == 0 && !follow {
		return nil
	}
	for changes, err := range p.Changes(ctx, 0) {
		if err != nil {
			if follow && errors.Is(err, context.Canceled) {
				return nil // the user ended it
			}
			return err
		}
		for _, c := range changes {
			if !follow && c.Event.Sequence > last {
				return printer.flush()
			}
			if filter.match(c) {
				if err := printer.print(c); err != nil {
					return err
				}
			}
		}
		if !follow && changes[len(changes)-1].Event.Sequence >= last {
			break
		}
		if err := printer.flush(); err != nil {
			return err
		}
	}
	return printer.flush()
}
