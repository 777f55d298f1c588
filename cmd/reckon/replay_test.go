package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	clocktesting "k8s.io/utils/clock/testing"
)

var storedFrom = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// aLog has n events, a second apart, about three pods in turn.
func aLog(t *testing.T, n int) *archive.Bus {
	t.Helper()
	now := storedFrom
	b := archive.Wrap(memory.New(func() time.Time { now = now.Add(time.Second); return now }), nil)
	for i := range n {
		e := bustest.Decision(fmt.Sprintf("web-%d", i%3))
		e.Actor = "alice"
		if i%2 == 1 {
			e = bustest.Fact("n1", fmt.Sprintf("web-%d", i%3))
		}
		if _, err := b.Log().Append(t.Context(), bus.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func replayed(t *testing.T, log bus.Log, from, to string, filters ...string) []uint64 {
	t.Helper()
	var got []uint64
	r := replay{from: from, to: to, show: func(e *events.Event) error { got = append(got, e.Sequence); return nil },
		flush: func(context.Context) error { return nil }}
	if err := r.setFilters(filters); err != nil {
		t.Fatal(err)
	}
	if _, err := r.log(t.Context(), log, storedFrom.Add(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestReplayTakesMomentsAndFilters(t *testing.T) {
	b := aLog(t, 12)
	if err := b.Archived().Move(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		filters  []string
		want     []uint64
	}{
		{"", "now", nil, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{"3", "5", nil, []uint64{3, 4, 5}},
		{"2026-01-02T03:04:14Z", "now", nil, []uint64{10, 11, 12}},
		{"10s", "9", nil, []uint64{}},
		{"12s", "9", nil, []uint64{9}},
		{"", "now", []string{"object=po/web-1"}, []uint64{2, 5, 8, 11}},
		{"", "now", []string{"type=reported", "object=po/web-1"}, []uint64{2, 8}},
		{"", "now", []string{"actor=n1"}, []uint64{2, 4, 6, 8, 10, 12}},
		{"", "now", []string{"namespace=other"}, nil},
		{"", "4", []string{"namespace=default,type=updated"}, []uint64{1, 3}},
	} {
		if got := replayed(t, b.Log(), c.from, c.to, c.filters...); !slices.Equal(got, c.want) {
			t.Errorf("from %q to %q of %q: %v, want %v", c.from, c.to, c.filters, got, c.want)
		}
	}
	for _, filter := range []string{"color=red", "type", "type=flown", "object=x", "type="} {
		if err := (&replay{}).setFilters([]string{filter}); err == nil {
			t.Errorf("the filter %q is taken", filter)
		}
	}
}

func TestReplayGoesOnBehindDamage(t *testing.T) {
	b := aLog(t, 2500)
	if err := b.Archived().Move(t.Context(), 2401); err != nil {
		t.Fatal(err)
	}
	names, err := b.Blobs().List(t.Context(), "archive/segment/")
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Blobs().Get(t.Context(), names[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := b.Blobs().Put(t.Context(), names[0], bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	n := 0
	run := replay{to: "now", show: func(*events.Event) error { n++; return nil }, flush: func(context.Context) error { return nil }}
	_, err = run.log(t.Context(), archive.Wrap(b.Bus, nil).Log(), storedFrom.Add(time.Hour))
	if d := (*archive.Damaged)(nil); !errors.As(err, &d) || d.First != 1001 || n != 1500 {
		t.Errorf("%d events, then %v", n, err)
	}
}

func TestPaceKeepsThePauses(t *testing.T) {
	clock := clocktesting.NewFakeClock(storedFrom)
	p, err := parsePace("10x", clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.wait(t.Context(), storedFrom); err != nil {
		t.Fatal(err)
	}
	passed := make(chan error)
	go func() { passed <- p.wait(t.Context(), storedFrom.Add(time.Minute)) }()
	for !clock.HasWaiters() {
		select {
		case err := <-passed:
			t.Fatalf("an event a minute later passed at once (%v)", err)
		default:
		}
	}
	clock.Step(5 * time.Second)
	select {
	case <-passed:
		t.Fatal("it passed after five seconds")
	default:
	}
	clock.Step(time.Second)
	if err := <-passed; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { passed <- p.wait(ctx, storedFrom.Add(time.Hour)) }()
	cancel()
	if err := <-passed; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, text := range []string{"0x", "-1", "fast", "x"} {
		if _, err := parsePace(text, clock); err == nil {
			t.Errorf("--speed %q is taken", text)
		}
	}
}

// What is exported comes back as a folder with the same events.
func TestExportAndImport(t *testing.T) {
	b := aLog(t, 3000)
	if err := b.Archived().Move(t.Context(), 2001); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	whole, part := filepath.Join(dir, "whole.log"), filepath.Join(dir, "part.log")
	m, err := exportFile(t.Context(), b.Log(), 1, 3000, &events.Chain{}, whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exportFile(t.Context(), b.Log(), 500, 2500, nil, part); err != nil {
		t.Fatal(err)
	}
	f := folder(filepath.Join(dir, "data"))
	if _, err := importFile(t.Context(), f, part); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), "begins with event 500") {
		t.Errorf("import of a part: %v", err)
	}
	got, err := importFile(t.Context(), f, whole)
	if err != nil || got.SHA256 != m.SHA256 || got.Count != 3000 {
		t.Fatalf("imported %+v, %v; exported %+v", got, err, m)
	}
	if _, err := importFile(t.Context(), f, whole); !errors.Is(err, events.ErrExists) {
		t.Errorf("import onto a log: %v", err)
	}
	s, err := server.Start(server.Options{Dir: string(f)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	imported, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again.log")
	if n, err := exportFile(t.Context(), imported.Log(), 1, 3000, &events.Chain{}, again); err != nil || n.SHA256 != m.SHA256 || n.Chain.End != m.Chain.End {
		t.Errorf("exported again: %+v (%v), want %+v", n, err, m)
	}
}

func TestLogStatusSaysWhatThereIs(t *testing.T) {
	b := aLog(t, 100)
	if err := b.Archived().Move(t.Context(), 61); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := logStatus(t.Context(), b.Archived(), 10, storedFrom.Add(100*time.Second), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"events       100", "first        1, 2026-01-02T03:04:06Z (1m39s ago)", "last         100,", "hot window   40 events from 61 on",
		"archive      60 events in 1 segments", "of the newest 10 events", "bustest for alice", "node n1", "pods",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, out.String())
		}
	}
}
