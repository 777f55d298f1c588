package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
	"k8s.io/utils/clock"
)

// replay is one run of the command.
type replay struct {
	from, to string // moments
	filter   eventFilter
	subjects []string // what the filter needs to be read at all
	pace     *pace
	show     func(*events.Event) error
	flush    func(ctx context.Context) error
}

func newReplay() *cobra.Command {
	var (
		from, to, output, speed, onto string
		filters                       []string
		target                        archive.TargetOptions
	)
	cmd := &cobra.Command{
		Use:   "replay [FILE]",
		Short: "Print the stored events of a stretch of time, in their own time if wanted, or append them to another bus",
		Long: `Print the events as they are stored, or append them to another bus. The log may be that of the
running cluster (the archive included) or a FILE that reckon export wrote.

  reckon replay --from 1h --to 30m
  reckon replay --from 1h --filter namespace=prod,type=scaled -o json
  reckon replay --from 2026-01-02T15:00:00Z --speed 10x -o cloudevents | my-consumer
  reckon replay incident.log --onto nats://lab:4222

The other bus is a NATS server with JetStream and a stream for the subjects log.> and fact.>. Events keep
their subject, headers and data; ce-sequence says which sequence they had.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := replay{from: from, to: to}
			if err := r.setFilters(filters); err != nil {
				return err
			}
			var err error
			if r.pace, err = parsePace(speed, clock.RealClock{}); err != nil {
				return err
			}
			if onto != "" {
				t, err := archive.OpenTarget(onto, target)
				if err != nil {
					return err
				}
				defer t.Close()
				r.show = func(e *events.Event) error { return t.Publish(cmd.Context(), e) }
				r.flush = t.Flush
			} else {
				printer, err := newEventPrinter(cmd.OutOrStdout(), output)
				if err != nil {
					return err
				}
				r.show = func(e *events.Event) error { return printer.print(alone(e)) }
				r.flush = func(context.Context) error { return printer.flush() }
			}
			n, err := r.source(cmd, args)
			if err == nil && onto != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%d events replayed onto %s\n", n, onto)
			}
			return err
		},
	}
	dataFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first moment: a sequence, a time or an age like 2h (default: where the history begins)")
	f.StringVar(&to, "to", "now", "last moment")
	f.StringArrayVar(&filters, "filter", nil, "what is replayed: type=, namespace=, actor=, object=, separated by commas; several types with type=a,type=b")
	f.StringVarP(&output, "output", "o", "table", "table, json or cloudevents")
	f.StringVar(&speed, "speed", "", "in the time that it took (1x), faster (10x) or slower (0.5x); default: at once")
	f.StringVar(&onto, "onto", "", "URL of another bus to append the events to (nats://host:4222)")
	f.StringVar(&target.CredsFile, "onto-creds", "", "credentials file for it")
	f.StringVar(&target.User, "onto-user", "", "user for it")
	f.StringVar(&target.Password, "onto-password", "", "password for it")
	return cmd
}

// setFilters reads --filter.
func (r *replay) setFilters(filters []string) error {
	r.filter.types = map[string]bool{}
	object := ""
	for _, pair := range strings.Split(strings.Join(filters, ","), ",") {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case pair == "":
		case !ok || value == "":
			return fmt.Errorf("--filter %q: want type=, namespace=, actor= or object= and a value", pair)
		case key == "type" && events.Types[value] == "":
			return fmt.Errorf("unknown event type %q: the types are %s", value, typeNames())
		case key == "type":
			r.filter.types[value] = true
		case key == "namespace":
			r.filter.namespace = value
		case key == "actor":
			r.filter.actor = value
		case key == "object":
			object = value
		default:
			return fmt.Errorf("--filter %q: the filters are type, namespace, actor and object", pair)
		}
	}
	switch namespace := r.filter.namespace; {
	case object != "":
		if namespace == "" {
			namespace = "default"
		}
		k, err := parseObject(object, namespace)
		if err != nil {
			return err
		}
		r.filter.object, r.filter.namespace = &k, ""
		r.subjects = []string{k.Subject(), strings.Replace(k.Subject(), events.PrefixDecision+".", events.PrefixFact+".*.", 1)}
	case namespace != "":
		ns := events.EncodeToken(namespace)
		r.subjects = []string{"log.*.*." + ns + ".>", "fact.*.*.*." + ns + ".>"}
	}
	return nil
}

// source replays from a file, or from the running cluster's log.
func (r *replay) source(cmd *cobra.Command, args []string) (int, error) {
	if len(args) > 0 {
		file, err := os.Open(args[0])
		if err != nil {
			return 0, err
		}
		defer file.Close()
		segment, err := archive.NewReader(file, args[0])
		if err != nil {
			return 0, err
		}
		return r.file(cmd.Context(), segment, time.Now())
	}
	b, err := connect(cmd)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	return r.log(cmd.Context(), b.Log(), time.Now())
}

func (r *replay) log(ctx context.Context, log bus.Log, now time.Time) (int, error) {
	first, last, err := span(ctx, log, r.from, r.to, now)
	if err != nil || first > last {
		return 0, err
	}
	return r.play(ctx, first, last, readOn(ctx, log, first, r.subjects))
}

// readOn reads the log, and goes on behind what is damaged.
func readOn(ctx context.Context, log bus.Log, from uint64, subjects []string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for more := true; more; {
			more = false
			for e, err := range log.Read(ctx, from, subjects...) {
				if !yield(e, err) {
					return
				}
				if d := (*archive.Damaged)(nil); errors.As(err, &d) && d.Last >= from {
					from, more = d.Last+1, true
				}
			}
		}
	}
}

// span resolves a first and a last moment to sequences, both included. No first
// moment is the beginning of the history.
func span(ctx context.Context, log bus.Log, from, to string, now time.Time) (first, last uint64, err error) {
	end, err := history.ParseMoment(to, now)
	if err != nil {
		return 0, 0, err
	}
	if last, err = end.Position(ctx, log); err != nil {
		return 0, 0, err
	}
	if from == "" {
		first, _, err = log.Range(ctx)
		return first, last, err
	}
	begin, err := history.ParseMoment(from, now)
	if err != nil {
		return 0, 0, err
	}
	if first, err = begin.Beginning(ctx, log); err != nil {
		return 0, 0, err
	}
	if begin.Sequence == 0 {
		first++ // what came after the time
	}
	return first, last, nil
}

// file replays a segment; its moments are compared event by event.
func (r *replay) file(ctx context.Context, segment *archive.Reader, now time.Time) (int, error) {
	var begin, end history.Moment
	for text, to := range map[string]*history.Moment{r.from: &begin, r.to: &end} {
		if text == "" {
			continue
		}
		var err error
		if *to, err = history.ParseMoment(text, now); err != nil {
			return 0, err
		}
	}
	return r.play(ctx, 0, 0, func(yield func(*events.Event, error) bool) {
		for slice, err := range segment.Frames() {
			for _, e := range slice {
				if e.Sequence < begin.Sequence || e.Stored.Before(begin.Time) {
					continue
				}
				if end.Sequence > 0 && e.Sequence > end.Sequence || !end.Time.IsZero() && e.Stored.After(end.Time) {
					return
				}
				if bus.MatchAny(r.subjects, e.Subject()) && !yield(e, nil) {
					return
				}
			}
			if err != nil && !yield(nil, err) {
				return
			}
		}
	})
}

// play shows the events up to last (0: all). Damage is told at the end; what
// else is there is shown.
func (r *replay) play(ctx context.Context, first, last uint64, log iter.Seq2[*events.Event, error]) (int, error) {
	n := 0
	var damage []error
	for e, err := range log {
		if d := (*archive.Damaged)(nil); errors.As(err, &d) {
			damage = append(damage, err)
			continue
		}
		if err != nil {
			return n, errors.Join(r.flush(ctx), err)
		}
		if last > 0 && e.Sequence > last {
			break
		}
		if e.Sequence < first || !r.filter.match(projections.Change{Event: e}) {
			continue
		}
		if r.pace != nil {
			if err := r.flush(ctx); err != nil {
				return n, err
			}
			if err := r.pace.wait(ctx, e.Stored); err != nil {
				return n, err
			}
		}
		if err := r.show(e); err != nil {
			return n, err
		}
		n++
	}
	return n, errors.Join(append(damage, r.flush(ctx))...)
}

// alone is an event as a change whose object before is unknown. What was created
// is in the event itself.
func alone(e *events.Event) projections.Change {
	c := projections.Change{Event: e}
	if e.ContentType == events.ContentObject && len(e.Data) > 0 {
		if value, err := events.DecodeObject(e.Data); err == nil {
			c.New = &events.Object{Key: e.Key, Value: value, Version: e.Sequence}
		}
	}
	return c
}
