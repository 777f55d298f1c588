package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
	"github.com/spf13/cobra"
)

// topShown is how many writers and resources are named.
const topShown = 5

func newLog() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "About the log itself", Args: cobra.NoArgs}
	cmd.AddCommand(newLogStatus())
	return cmd
}

func newLogStatus() *cobra.Command {
	var recent uint64
	cmd := &cobra.Command{
		Use:   "status",
		Short: "How much history there is and where, how fast it grows, and who writes most",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := connect(cmd)
			if err != nil {
				return err
			}
			defer b.Close()
			log, ok := b.Log().(*archive.Log)
			if !ok {
				return fmt.Errorf("the log is a %T", b.Log())
			}
			return logStatus(cmd.Context(), log, recent, time.Now(), cmd.OutOrStdout())
		},
	}
	dataFlags(cmd)
	cmd.Flags().Uint64Var(&recent, "recent", 10_000, "newest events from which rate and top writers are counted")
	return cmd
}

func logStatus(ctx context.Context, log *archive.Log, recent uint64, now time.Time, w io.Writer) error {
	first, last, err := log.Range(ctx)
	if err != nil {
		return err
	}
	if first > last {
		fmt.Fprintln(w, "The log is empty.")
		return nil
	}
	hot, _, err := log.Stream().Range(ctx)
	if err != nil {
		return err
	}
	size, silent := log.Store().Size(ctx)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	line("events", "%d", last-first+1)
	for _, end := range []struct {
		name     string
		sequence uint64
	}{{"first", first}, {"last", last}} {
		if e, err := log.Get(ctx, end.sequence); err == nil {
			line(end.name, "%d, %s (%s ago)", end.sequence, e.Stored.UTC().Format(time.RFC3339), age(now.Sub(e.Stored)))
		} else {
			line(end.name, "%d, %v", end.sequence, err)
		}
	}
	window := fmt.Sprintf("%d events", last+1-hot)
	if e, err := log.Stream().Get(ctx, hot); err == nil {
		window += fmt.Sprintf(" from %d on, since %s ago", hot, age(now.Sub(e.Stored)))
	}
	if sized, ok := log.Stream().(bus.Sized); ok {
		s, err := sized.Size(ctx)
		if err != nil {
			return err
		}
		window += fmt.Sprintf(", %s, %d subjects", bytesText(int64(s.Bytes)), s.Subjects)
	}
	line("hot window", "%s", window)
	switch {
	case silent != nil:
		line("archive", "%v", silent)
	case size.Segments == 0:
		line("archive", "empty")
	default:
		line("archive", "%d events in %d segments, %s (%s uncompressed)", size.Events, size.Segments, bytesText(size.Bytes), bytesText(size.Content))
	}
	for _, err := range size.Damaged {
		line("damaged", "%v", err)
	}
	return recentStatus(ctx, log, max(last-min(last, recent)+1, first), now, w)
}

// recentStatus counts the newest events.
func recentStatus(ctx context.Context, log bus.Log, from uint64, now time.Time, w io.Writer) error {
	writers, resources := map[string]int{}, map[string]int{}
	total := 0
	var oldest time.Time
	minute := 0
	for e, err := range log.Read(ctx, from) {
		if err != nil {
			return err
		}
		if total == 0 {
			oldest = e.Stored
		}
		total++
		if now.Sub(e.Stored) <= time.Minute {
			minute++
		}
		writers[writerOf(e)]++
		resource := e.Key.Resource
		if e.Key.Group != "" {
			resource += "." + e.Key.Group
		}
		resources[resource]++
	}
	if total == 0 {
		return nil
	}
	over := max(now.Sub(oldest), time.Millisecond)
	fmt.Fprintf(w, "%-12s %.1f events a second in the last minute, %.1f over %s\n", "rate", float64(minute)/60, float64(total)/over.Seconds(), age(over))
	fmt.Fprintf(w, "\nof the newest %d events:\n", total)
	top(w, "WRITER", writers, total)
	top(w, "RESOURCE", resources, total)
	return nil
}

// writerOf is who appended an event: the reporter of a fact, else the component,
// with the user behind it.
func writerOf(e *events.Event) string {
	switch {
	case e.Prefix == events.PrefixFact && !strings.HasPrefix(e.Reporter, "controller:"):
		return "node " + e.Reporter
	case e.Actor != "":
		return e.Source + " for " + e.Actor
	}
	return e.Source
}

func top(w io.Writer, title string, counts map[string]int, total int) {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	fmt.Fprintf(w, "  %-60s %8s %6s\n", title, "EVENTS", "SHARE")
	for _, name := range names[:min(len(names), topShown)] {
		fmt.Fprintf(w, "  %-60s %8d %5.1f%%\n", name, counts[name], 100*float64(counts[name])/float64(total))
	}
}

func bytesText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 10_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// age says a duration as coarsely as people do.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
