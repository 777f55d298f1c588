package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/bus"
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
	voidOnly  bool
}

func (f *eventFilter) match(c projections.Change) bool {
	e := c.Event
	switch {
	case f.object != nil && e.Key != *f.object:
	case f.namespace != "" && e.Key.Namespace != f.namespace:
	case len(f.types) > 0 && !f.types[e.Type]:
	case f.actor != "" && e.Actor != f.actor && e.Source != f.actor && e.Reporter != f.actor:
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
			printer, err := newEventPrinter(cmd.OutOrStdout(), output)
			if err != nil {
				return err
			}
			return withPast(cmd, func(ctx context.Context, b bus.Bus, p *projections.Projection) error {
				from, last, err := eventSpan(ctx, b.Log(), since, time.Now())
				if err != nil {
					return err
				}
				return showEvents(ctx, p, from, last, &filter, follow, printer)
			})
		},
	}
	dataFlags(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing events as they happen")
	cmd.Flags().BoolVar(&voids, "void", false, "only events that had no effect")
	cmd.Flags().StringVar(&object, "object", "", "only this object, KIND/NAME or KIND/NAMESPACE/NAME")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "only this namespace")
	cmd.Flags().StringSliceVar(&types, "type", nil, "only these types of events")
	cmd.Flags().StringVar(&actor, "actor", "", "only what this user, component or node did")
	cmd.Flags().StringVar(&since, "since", "", "only newer than this age (10m), RFC 3339 time or sequence")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or cloudevents")
	return cmd
}

// eventSpan is what to show: the events after from, up to last. Without since it
// is all that is kept.
func eventSpan(ctx context.Context, log bus.Log, since string, now time.Time) (from, last uint64, err error) {
	if since != "" {
		return moments(ctx, log, since, "now", now)
	}
	first, last, err := log.Range(ctx)
	return max(first, 1) - 1, last, err
}

// showEvents prints what matches of the changes after from: up to last, or, if
// they are followed, for ever. Only the fold knows which events are void.
func showEvents(ctx context.Context, p *projections.Projection, from, last uint64, filter *eventFilter, follow bool, printer eventPrinter) error {
	if last <= from && !follow {
		return nil
	}
	for changes, err := range p.Changes(ctx, from) {
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
