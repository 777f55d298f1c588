package simulation

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
)

var (
	flagSeeds   = flag.String("seeds", "1-4,8,51", "seeds to run: a list, with ranges (1,7,100-200)")
	flagTail    = flag.Int("tail", 80, "how many lines to print of a seed that failed")
	flagJournal = flag.String("journal", "", "a file for all that happened in the last run")
)

// TestSeeds runs each seed twice.
func TestSeeds(t *testing.T) {
	quiet()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // between the runs only
	seeds, err := parseSeeds(*flagSeeds)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			first := live(t, seed)
			if t.Failed() {
				return
			}
			second := live(t, seed)
			if !t.Failed() {
				same(t, seed, first, second)
			}
		})
	}
}

// quiet drops what components log outside the journal.
func quiet() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	klog.SetLogger(klog.Background().V(10))
}

// result is what is left of a run.
type result struct {
	events  []string
	journal []string
}

func live(t *testing.T, seed uint64) (r result) {
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, 2*time.Minute)
		w.planFaults()
		w.live()
		r = result{w.transcript(), w.journal}
		if w.failure != nil {
			t.Errorf("seed %d: %v\n\nwhat happened last:\n%s\n\nagain: go test ./test/simulation -run TestSeeds -seeds %d", seed, w.failure, w.tail(*flagTail), seed)
		}
		w.stop()
		w.writeJournal(t)
	})
	return r
}

// writeJournal writes down all that happened if it was asked for.
func (w *world) writeJournal(t *testing.T) {
	if *flagJournal == "" {
		return
	}
	if err := os.WriteFile(*flagJournal, []byte(strings.Join(w.journal, "\n")+"\n"), 0o644); err != nil {
		t.Error(err)
	}
}

// same compares two runs of one seed.
func same(t *testing.T, seed uint64, a, b result) {
	for i := range min(len(a.events), len(b.events)) {
		if a.events[i] != b.events[i] {
			t.Errorf("seed %d: two runs differ at event %d:\n%s\n--- and ---\n%s\n\nbefore that:\n%s", seed, i+1, a.events[i], b.events[i], differ(a.journal, b.journal))
			return
		}
	}
	if len(a.events) != len(b.events) {
		t.Errorf("seed %d: one run has %d events, the other %d", seed, len(a.events), len(b.events))
	}
}

// differ gives the journals up to a few lines after their first difference.
func differ(a, b []string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	part := func(j []string) string { return strings.Join(j[max(0, i-20):min(len(j), i+5)], "\n") }
	return part(a) + "\n--- and ---\n" + part(b)
}

func parseSeeds(text string) ([]uint64, error) {
	var out []uint64
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("seeds: %w", err)
		}
		b := a
		if isRange {
			if b, err = strconv.ParseUint(to, 10, 64); err != nil {
				return nil, fmt.Errorf("seeds: %w", err)
			}
		}
		for s := a; s <= b; s++ {
			out = append(out, s)
		}
	}
	return out, nil
}
