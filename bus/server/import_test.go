package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

// somePast makes events from sequence first on, of three objects.
func somePast(first, n uint64) []*events.Event {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	var out []*events.Event
	for i := first; i < first+n; i++ {
		e := &events.Event{
			Sequence: i, Stored: begin.Add(time.Duration(i) * time.Second), Prefix: events.PrefixDecision,
			Key: events.Key{Resource: "configmaps", Namespace: "default", Name: fmt.Sprintf("c.%d", i%3)},
			ID:  bus.NewID(), Source: "test", Type: events.Updated, Time: begin.Add(time.Duration(i) * time.Second), Cause: []uint64{i - 1},
			Note: "naïve: 1\r\n2", ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"data":{"n":"%d"}}`, i),
		}
		if i%5 == 0 {
			e.Prefix, e.Reporter, e.Counter = events.PrefixFact, "n1", events.Counter{Incarnation: 1, N: i}
		}
		out = append(out, e)
	}
	return out
}

func each(all []*events.Event) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestImportKeepsSequencesAndTimes(t *testing.T) {
	for _, first := range []uint64{1, 40_001} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			dir, past := t.TempDir(), somePast(first, 10_000)
			last := past[len(past)-1].Sequence
			if err := server.Import(t.Context(), server.Options{Dir: dir}, first, each(past), nil); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a second start finds the same
				s, err := server.Start(server.Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				b, err := s.Connect("component:test")
				if err != nil {
					t.Fatal(err)
				}
				if a, z, err := b.Log().Range(t.Context()); err != nil || a != first || z != last {
					t.Errorf("the log goes from %d to %d (%v), not from %d to %d", a, z, err, first, last)
				}
				i := 0
				for e, err := range b.Log().Read(t.Context(), 0) {
					if err != nil {
						t.Fatal(err)
					}
					want := past[i]
					if e.Digest() != want.Digest() || !e.Stored.Equal(want.Stored) || e.Subject() != want.Subject() {
						t.Fatalf("event %d became\n%+v, not\n%+v", want.Sequence, e, want)
					}
					i++
				}
				if i != len(past) {
					t.Errorf("%d events of %d are there", i, len(past))
				}
				s.Shutdown()
			}
			appendAfter(t, dir, past)
			err := server.Import(t.Context(), server.Options{Dir: dir}, first, each(past), nil)
			if !errors.Is(err, events.ErrExists) {
				t.Errorf("a second import into the folder gave %v", err)
			}
		})
	}
}

// appendAfter goes on with an imported log: expectations hold.
func appendAfter(t *testing.T, dir string, past []*events.Event) {
	t.Helper()
	s, err := server.Start(server.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	e := *past[len(past)-1]
	e.ID, e.Prefix, e.Reporter = bus.NewID(), events.PrefixDecision, ""
	before := uint64(0)
	for _, p := range slices.Backward(past) {
		if p.Subject() == e.Subject() {
			before = p.Sequence
			break
		}
	}
	if _, err := b.Log().Append(t.Context(), bus.Entry{Event: &e, Expect: bus.Expect(before - 1)}); !errors.Is(err, events.ErrConflict) {
		t.Errorf("a wrong expectation gave %v", err)
	}
	last := past[len(past)-1].Sequence
	if seq, err := b.Log().Append(t.Context(), bus.Entry{Event: &e, Expect: bus.Expect(before)}); err != nil || seq != last+1 {
		t.Errorf("the next event became %d, %v", seq, err)
	}
}

func TestImportOfNothingBeginsWhereItShould(t *testing.T) {
	dir := t.TempDir()
	if err := server.Import(t.Context(), server.Options{Dir: dir}, 501, each(nil), nil); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(server.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	e := *somePast(501, 1)[0]
	if seq, err := b.Log().Append(context.Background(), bus.Entry{Event: &e, Expect: bus.Expect(0)}); err != nil || seq != 501 {
		t.Errorf("the first event became %d, %v", seq, err)
	}
}

func TestImportRefusesAGap(t *testing.T) {
	past := somePast(1, 10)
	err := server.Import(t.Context(), server.Options{Dir: t.TempDir()}, 1, each(append(past[:4:4], past[5:]...)), nil)
	if !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a log without event 5 gave %v", err)
	}
}

// BenchmarkImport reports events a second of 100,000.
func BenchmarkImport(b *testing.B) {
	past := somePast(1, 100_000)
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		if err := server.Import(b.Context(), server.Options{Dir: dir}, 1, each(past), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(past)*b.N)/b.Elapsed().Seconds(), "events/s")
}
