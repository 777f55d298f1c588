package report

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// flaky is a log that can be away.
type flaky struct {
	bus.Log
	mu   sync.Mutex
	away bool
	told chan struct{} // one for every refused append
}

func (f *flaky) Start(e bus.Entry) *bus.Pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.away {
		return f.Log.Start(e)
	}
	p, complete := bus.NewPending()
	complete(0, events.ErrUnavailable)
	select {
	case f.told <- struct{}{}:
	default:
	}
	return p
}

func (f *flaky) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func fact(i int) Fact {
	return Fact{Key: events.Key{Resource: "pods", Namespace: "default", Name: "web"}, UID: "u", Patch: []byte("{}"), Note: fmt.Sprint(i)}
}

func start(t *testing.T, log bus.Log, dir string, incarnation uint64, back func()) (*Reporter, func()) {
	t.Helper()
	r, err := New("n1", log, dir, incarnation, clock.RealClock{}, slog.New(slog.DiscardHandler), back)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// notes reads the first n facts of the log.
func notes(t *testing.T, log bus.Log, n int) []string {
	t.Helper()
	var out []string
	var last events.Counter
	for batch, err := range log.Follow(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if !last.Less(e.Counter) {
				t.Errorf("counter %v came after %v", e.Counter, last)
			}
			last = e.Counter
			out = append(out, e.Note)
		}
		if len(out) >= n {
			break
		}
	}
	return out
}

func TestFactsOfAnOutageArriveInOrder(t *testing.T) {
	dir := t.TempDir()
	log := &flaky{Log: memory.New(time.Now).Log(), told: make(chan struct{}, 1)}
	back := make(chan struct{}, 1)
	r, stop := start(t, log, dir, 1, func() { back <- struct{}{} })
	defer stop()
	r.Report(fact(0))
	notes(t, log.Log, 1)
	log.set(true)
	r.Report(fact(1))
	<-log.told
	r.Report(fact(2))
	log.set(false)
	<-back
	if got := notes(t, log.Log, 3); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("the log has %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "reports.jsonl")); !os.IsNotExist(err) {
		t.Errorf("the queue is still there: %v", err)
	}
}

func TestFactsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	log := &flaky{Log: memory.New(time.Now).Log(), told: make(chan struct{}, 1), away: true}
	r, stop := start(t, log, dir, 1, nil)
	r.Report(fact(1))
	<-log.told
	r.Report(fact(2))
	stop()
	log.set(false)
	r, stop = start(t, log, dir, 2, nil)
	defer stop()
	r.Report(fact(3))
	if got := notes(t, log.Log, 3); fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("the log has %v", got)
	}
}

func TestIncarnationsGrow(t *testing.T) {
	dir, now := t.TempDir(), time.UnixMilli(1000)
	var last uint64
	for range 3 { // the clock stands still, then goes back
		n, err := Incarnation(dir, now)
		if err != nil || n <= last {
			t.Fatalf("%d after %d: %v", n, last, err)
		}
		last, now = n, now.Add(-time.Second)
	}
}
