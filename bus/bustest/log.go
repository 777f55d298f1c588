package bustest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

func appendSequences(t *testing.T, b bus.Bus) {
	first := mustAppend(t, b.Log(), bus.Entry{Event: Decision("a"), Expect: bus.Expect(0)})
	second := mustAppend(t, b.Log(), bus.Entry{Event: Decision("a"), Expect: bus.Expect(first)})
	if second <= first {
		t.Errorf("sequences %d, %d don't grow", first, second)
	}
	from, to, err := b.Log().Range(contextFor(t))
	if err != nil || from != first || to != second {
		t.Errorf("range is %d to %d (%v), want %d to %d", from, to, err, first, second)
	}
}

func appendRoundTrip(t *testing.T, b bus.Bus) {
	e := Decision("web.1")
	e.Actor, e.Note, e.Cause, e.IfVersion = "alice", "said so", []uint64{3, 4}, 7
	seq := mustAppend(t, b.Log(), bus.Entry{Event: e})
	got, err := b.Log().Last(contextFor(t), e.Subject())
	if err != nil {
		t.Fatal(err)
	}
	if got.Sequence != seq || got.Stored.IsZero() {
		t.Errorf("sequence %d stored at %s, want %d and a time", got.Sequence, got.Stored, seq)
	}
	if got.ID != e.ID || got.Key != e.Key || got.Actor != e.Actor || got.Note != e.Note || got.IfVersion != 7 ||
		len(got.Cause) != 2 || string(got.Data) != string(e.Data) || !got.Time.Equal(e.Time) {
		t.Errorf("got %+v, want %+v", got, e)
	}
}

func appendConflict(t *testing.T, b bus.Bus) {
	seq := mustAppend(t, b.Log(), bus.Entry{Event: Decision("a")})
	for _, expect := range []uint64{0, seq + 1, seq + 100} {
		_, err := b.Log().Append(contextFor(t), bus.Entry{Event: Decision("a"), Expect: bus.Expect(expect)})
		if !errors.Is(err, events.ErrConflict) {
			t.Errorf("expecting %d where %d is last: %v", expect, seq, err)
		}
		var c *bus.Conflict
		if errors.As(err, &c) && c.Last != seq {
			t.Errorf("the conflict says that %d is last, want %d", c.Last, seq)
		}
	}
	if _, last, err := b.Log().Range(contextFor(t)); err != nil || last != seq {
		t.Errorf("the log ends at %d (%v), want %d", last, err, seq)
	}
}

func appendRace(t *testing.T, b bus.Bus) {
	for round := range 20 {
		var wg sync.WaitGroup
		results := make([]error, 8)
		name := fmt.Sprintf("r%d", round)
		for i := range results {
			wg.Go(func() {
				_, results[i] = b.Log().Append(contextFor(t), bus.Entry{Event: Decision(name), Expect: bus.Expect(0)})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, events.ErrConflict):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d appends won, want 1", won)
		}
	}
}

func startOrder(t *testing.T, b bus.Bus) {
	seqs := fill(t, b.Log(), 500)
	for i := 1; i < len(seqs); i++ {
		if seqs[i] <= seqs[i-1] {
			t.Fatalf("append %d has sequence %d, the one before has %d", i, seqs[i], seqs[i-1])
		}
	}
}

func appendInvalid(t *testing.T, b bus.Bus) {
	long := Decision(strings.Repeat("x", events.MaxSubject))
	big := Decision("big")
	big.Data = make([]byte, bus.MaxData+1)
	noID := Decision("a")
	noID.ID = ""
	for _, e := range []*events.Event{long, big, noID} {
		if _, err := b.Log().Append(contextFor(t), bus.Entry{Event: e}); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("append of an invalid event: %v", err)
		}
	}
}

func batchWhole(t *testing.T, b bus.Bus) {
	var batch []bus.Entry
	for i := range 50 {
		batch = append(batch, bus.Entry{Event: Decision(fmt.Sprintf("g%d", i)), Expect: bus.Expect(0)})
	}
	seqs, err := b.Log().AppendBatch(contextFor(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, seq := range seqs {
		if seq != seqs[0]+uint64(i) {
			t.Fatalf("sequences %v are not consecutive", seqs)
		}
	}
	i := 0
	for e, err := range b.Log().Read(contextFor(t), seqs[0]) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != batch[i].Event.ID || e.Sequence != seqs[i] {
			t.Fatalf("event %d of the batch is %s at %d", i, e.Key, e.Sequence)
		}
		i++
	}
	if i != len(batch) {
		t.Errorf("read %d events, want %d", i, len(batch))
	}
}

func batchConflict(t *testing.T, b bus.Bus) {
	seq := mustAppend(t, b.Log(), bus.Entry{Event: Decision("taken")})
	_, err := b.Log().AppendBatch(contextFor(t), []bus.Entry{
		{Event: Decision("free"), Expect: bus.Expect(0)},
		{Event: Decision("taken"), Expect: bus.Expect(0)},
		{Event: Decision("free2"), Expect: bus.Expect(0)},
	})
	if !errors.Is(err, events.ErrConflict) {
		t.Errorf("batch with a conflict: %v", err)
	}
	if _, last, err := b.Log().Range(contextFor(t)); err != nil || last != seq {
		t.Errorf("the log ends at %d (%v), want %d", last, err, seq)
	}
	if seqs, err := b.Log().AppendBatch(contextFor(t), make([]bus.Entry, bus.MaxBatch+1)); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("too large a batch: %v, %v", seqs, err)
	}
}

func readFilters(t *testing.T, b bus.Bus) {
	for range b.Log().Read(contextFor(t), 0) {
		t.Fatal("a new log has no events")
	}
	mustAppend(t, b.Log(), bus.Entry{Event: Decision("a")})
	mustAppend(t, b.Log(), bus.Entry{Event: Fact("n1", "a")})
	mustAppend(t, b.Log(), bus.Entry{Event: Fact("n2", "a")})
	mustAppend(t, b.Log(), bus.Entry{Event: Decision("b")})
	for filter, want := range map[string]int{
		"": 4, "log.>": 2, "fact.*.core.pods.>": 2, "fact.n2.>": 1, "log.apps.>": 0,
		"log.core.pods.default.a fact.*.core.pods.default.a log.apps.>": 3,
		"log.core.pods.default.b fact.n1.>":                             2, // in the log's order, whatever that of the filters
	} {
		filters := strings.Fields(filter)
		n, last := 0, uint64(0)
		for e, err := range b.Log().Read(contextFor(t), 0, filters...) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Sequence <= last {
				t.Errorf("read %q: event %d after %d", filter, e.Sequence, last)
			}
			last = e.Sequence
			n++
		}
		if n != want {
			t.Errorf("read %q: %d events, want %d", filter, n, want)
		}
	}
}

func followContinues(t *testing.T, b bus.Bus) {
	ctx, cancel := context.WithCancel(contextFor(t))
	defer cancel()
	const total = 3000
	fill(t, b.Log(), total/3)
	done := make(chan error, 1)
	go func() {
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for w := range 8 {
			wg.Go(func() {
				for i := range total / 3 * 2 / 8 {
					if _, err := b.Log().Append(ctx, bus.Entry{Event: Decision(fmt.Sprintf("w%d-%d", w, i))}); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		done <- <-errs
	}()
	next := uint64(1)
	for slice, err := range b.Log().Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if len(slice) == 0 {
			t.Error("an empty slice")
		}
		for _, e := range slice {
			if e.Sequence != next {
				t.Fatalf("got sequence %d, want %d", e.Sequence, next)
			}
			next++
		}
		if next > total {
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, err := range b.Log().Follow(ctx, 0) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("follow with an ended context: %v", err)
		}
		break
	}
}

func followGone(t *testing.T, b bus.Bus) {
	seqs := fill(t, b.Log(), 10)
	if err := b.Log().Trim(contextFor(t), seqs[5]); err != nil {
		t.Fatal(err)
	}
	for _, err := range b.Log().Follow(contextFor(t), seqs[2]) {
		if !errors.Is(err, events.ErrGone) {
			t.Errorf("follow from a trimmed position: %v", err)
		}
		break
	}
	for slice, err := range b.Log().Follow(contextFor(t), 0) {
		if err != nil || slice[0].Sequence != seqs[5] {
			t.Errorf("follow from the beginning: %v", err)
		}
		break
	}
}

func trim(t *testing.T, b bus.Bus) {
	seqs := fill(t, b.Log(), 10)
	if err := b.Log().Trim(contextFor(t), seqs[9]+1); err != nil {
		t.Fatal(err)
	}
	first, last, err := b.Log().Range(contextFor(t))
	if err != nil || last != seqs[9] || first != last+1 {
		t.Errorf("range of a wholly trimmed log is %d to %d (%v)", first, last, err)
	}
	seq := mustAppend(t, b.Log(), bus.Entry{Event: Decision("p1"), Expect: bus.Expect(0)})
	if seq != last+1 {
		t.Errorf("appended as %d after %d", seq, last)
	}
}

func get(t *testing.T, b bus.Bus) {
	for _, e := range []*events.Event{Decision("a"), Fact("n1", "a"), Decision("b")} {
		seq := mustAppend(t, b.Log(), bus.Entry{Event: e})
		got, err := b.Log().Get(contextFor(t), seq)
		if err != nil {
			t.Fatal(err)
		}
		if got.Sequence != seq || got.ID != e.ID || got.Subject() != e.Subject() || got.Stored.IsZero() || string(got.Data) != string(e.Data) {
			t.Errorf("event %d is %+v, want %+v", seq, got, e)
		}
	}
}

func getMissing(t *testing.T, b bus.Bus) {
	want := func(log bus.Log, seq uint64, class error) {
		t.Helper()
		if e, err := log.Get(contextFor(t), seq); !errors.Is(err, class) {
			t.Errorf("event %d: %v, %v; want %v", seq, e, err, class)
		}
	}
	want(b.Log(), 0, events.ErrGone)
	want(b.Log(), 1, events.ErrNotFound)
	seqs := fill(t, b.Log(), 3)
	want(b.Log(), seqs[2]+1, events.ErrNotFound)
	if err := b.Log().Trim(contextFor(t), seqs[2]); err != nil {
		t.Fatal(err)
	}
	want(b.Log(), 0, events.ErrGone)
	want(b.Log(), seqs[0], events.ErrGone)
	want(b.Log(), seqs[1], events.ErrGone)
	if e, err := b.Log().Get(contextFor(t), seqs[2]); err != nil || e.Sequence != seqs[2] {
		t.Errorf("the first event kept: %v, %v", e, err)
	}
	// The first one stays: what is replaced lies within.
	mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("kept", events.Created)})
	replaced := mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("renewed", events.Created)})
	mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("renewed", events.Updated)})
	want(b.Volatile(), replaced, events.ErrNotFound)
}

func last(t *testing.T, b bus.Bus) {
	mustAppend(t, b.Log(), bus.Entry{Event: Decision("a")})
	e := Decision("a")
	seq := mustAppend(t, b.Log(), bus.Entry{Event: e})
	mustAppend(t, b.Log(), bus.Entry{Event: Fact("n1", "a")})
	got, err := b.Log().Last(contextFor(t), e.Subject())
	if err != nil || got.ID != e.ID || got.Sequence != seq {
		t.Errorf("last is %v (%v)", got, err)
	}
	if _, err := b.Log().Last(contextFor(t), Key("none").Subject()); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("last of an unused subject: %v", err)
	}
}

func volatileExpiry(t *testing.T, b bus.Bus) {
	mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("kept", events.Created)})
	created := mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("lease", events.Created), TTL: time.Second})
	for slice, err := range b.Volatile().Follow(contextFor(t), created+1) {
		if err != nil {
			t.Fatal(err)
		}
		e := slice[0]
		if e.Type != events.Deleted || e.Actor != "expiry" || e.Key != Key("lease") || e.Sequence <= created {
			t.Errorf("expiry is seen as %+v", e)
		}
		break
	}
	// A deletion stays to be seen, in the place of what it deleted.
	mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("kept", events.Deleted)})
	n := 0
	for e, err := range b.Volatile().Read(contextFor(t), 0, Volatile("kept", "").Subject()) {
		if err != nil || e.Type != events.Deleted {
			t.Errorf("read %v (%v), want the deletion", e, err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("read %d events of a deleted object, want 1", n)
	}
}

func volatileRenewal(t *testing.T, b bus.Bus) {
	seq := mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("lease", events.Created), TTL: time.Second})
	renewed := mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("lease", events.Updated), Expect: bus.Expect(seq)})
	mustAppend(t, b.Volatile(), bus.Entry{Event: Volatile("other", events.Created), TTL: 2 * time.Second})
	for slice, err := range b.Volatile().Follow(contextFor(t), renewed+1) {
		if err != nil {
			t.Fatal(err)
		}
		if e := slice[len(slice)-1]; e.Actor == "expiry" {
			if e.Key != Key("other") {
				t.Errorf("%s expired although it was renewed without a TTL", e.Key)
			}
			break
		}
	}
}
