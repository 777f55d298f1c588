package bustest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// lateAnswers: who started many appends gets each answer, whenever it comes.
func lateAnswers(t *testing.T, b bus.Bus) {
	startOrder(t, Faulty(b, func(n int, _ bus.Entry) Fault {
		if n%3 == 0 {
			return Late
		}
		return Healthy
	}))
}

// writerUnderFaults is how every writer of decisions must go about it: after an
// error it looks what the last event is, and decides again on that. Each of its
// steps is stored once, whatever went wrong.
func writerUnderFaults(t *testing.T, b bus.Bus) {
	faults := []Fault{Healthy, NotStored, Unanswered, Late, Unanswered, NotStored, NotStored, Twice}
	f := Faulty(b, func(n int, _ bus.Entry) Fault { return faults[n%len(faults)] })
	const steps = 40
	last := uint64(0)
	for step := range steps {
		e := Decision("a")
		e.Note = fmt.Sprint("step ", step)
		for {
			seq, err := f.Log().Append(contextFor(t), bus.Entry{Event: e, Expect: bus.Expect(last)})
			if err == nil {
				last = seq
				break
			}
			if !errors.Is(err, events.ErrUnavailable) {
				t.Fatal(err)
			}
			stored, err := f.Log().Last(contextFor(t), e.Subject())
			if err == nil && stored.ID == e.ID {
				last = stored.Sequence
				break
			}
			if err != nil && !errors.Is(err, events.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	n := 0
	for e, err := range b.Log().Read(contextFor(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint("step ", n); e.Note != want {
			t.Fatalf("event %d is %q, want %q", e.Sequence, e.Note, want)
		}
		n++
	}
	if n != steps {
		t.Errorf("%d steps are stored, want %d", n, steps)
	}
}

// factsUnderFaults: a report that is sent until it was acknowledged is there at
// least once; a fold tells the copies by the event's id.
func factsUnderFaults(t *testing.T, b bus.Bus) {
	faults := []Fault{NotStored, Unanswered, Twice, Healthy, Late}
	f := Faulty(b, func(n int, _ bus.Entry) Fault { return faults[n%len(faults)] })
	ids := map[string]int{}
	for i := range 25 {
		e := Fact("n1", fmt.Sprint("p", i))
		ids[e.ID] = 0
		for {
			_, err := f.Log().Append(contextFor(t), bus.Entry{Event: e})
			if err == nil {
				break
			}
			if !errors.Is(err, events.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	}
	// A second copy may still be on its way.
	mustAppend(t, b.Log(), bus.Entry{Event: Decision("end")})
	for e, err := range b.Log().Read(contextFor(t), 0, "fact.>") {
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID]++
	}
	for id, n := range ids {
		if n == 0 {
			t.Errorf("the acknowledged report %s is missing", id)
		}
	}
}
