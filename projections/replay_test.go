package projections_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Replay shows each change with the state right before it.
func TestReplayYieldsTheStateBeforeEachChange(t *testing.T) {
	_, p, s := told(t, 400)
	next := uint64(120)
	for step, err := range p.Replay(t.Context(), next, 380) {
		must(t, err)
		next++
		if step.Event.Sequence != next || step.Before.Position() != next-1 {
			t.Fatalf("event %d after the state at %d, want %d", step.Event.Sequence, step.Before.Position(), next)
		}
		before := step.Before.Get(step.Event.Key)
		if step.Void == nil && step.Old.Exists() && (before == nil || before.Version != step.Old.Version) {
			t.Fatalf("at %d: %s was %v, Old is at %d", next, step.Event.Key, before, step.Old.Version)
		}
		if next%97 == 0 {
			want, err := p.At(t.Context(), next-1)
			must(t, err)
			if !bytes.Equal(encoded(t, step.Before), encoded(t, want)) {
				t.Fatalf("the state before %d isn't the state at %d", next, next-1)
			}
		}
	}
	if next != 380 {
		t.Errorf("ended at %d", next)
	}
	n := 0
	only := projections.Only(func(e *events.Event) bool { return e.Type == events.Scheduled })
	for step, err := range p.Replay(t.Context(), 0, uint64(s.n), only) {
		must(t, err)
		if n++; step.Event.Type != events.Scheduled || step.Before.Position() != step.Event.Sequence-1 {
			t.Fatalf("%s after %d", step.Event.Type, step.Before.Position())
		}
	}
	if n == 0 {
		t.Error("nothing was scheduled")
	}
}

// noReads is a log that can't be read again.
type noReads struct{ bus.Log }

var errRead = errors.New("read again")

func (noReads) Read(context.Context, uint64, ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) { yield(nil, errRead) }
}

// A recent state is made from memory, without a look at the log, and is the
// same as one folded from the log.
func TestRecentStatesComeFromMemory(t *testing.T) {
	b := newLog()
	s := newStory(t, 5, b.Log(), nil)
	p := projections.New(noReads{b.Log()}, quiet(), projections.Buffer(3000))
	s.live = p
	stop := run(t, p)
	defer stop()
	for range 8000 {
		s.step()
		if s.n%37 == 0 {
			must(t, p.WaitFor(t.Context(), uint64(s.n)))
		}
	}
	must(t, p.WaitFor(t.Context(), uint64(s.n)))
	fresh := projections.New(b.Log(), quiet())
	run(t, fresh)
	for _, position := range []uint64{6100, 7023, 7024, 7500, 7999, 8000} {
		got, err := p.At(t.Context(), position)
		must(t, err)
		want, err := fresh.At(t.Context(), position)
		must(t, err)
		if !bytes.Equal(encoded(t, got), encoded(t, want)) || got.Chain() != want.Chain() {
			t.Errorf("the states at %d differ", position)
		}
	}
	if _, err := p.At(t.Context(), 100); !errors.Is(err, errRead) {
		t.Errorf("a state before what is in memory: %v", err)
	}
}

// A damaged checkpoint is made again, by Run after Restore passed over it, and
// by At on its way.
func TestDamagedCheckpointsAreMadeAgain(t *testing.T) {
	for _, position := range []string{"300", "500"} {
		b, _ := signedStory(t)
		name := "checkpoint/00000000000000000" + position
		damage := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
		rewriteBlob(t, b.Blobs(), name, damage)
		p := projections.New(b.Log(), quiet(), projections.Signer(signer), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Keep: 9}))
		must(t, p.Restore(t.Context(), b.Blobs()))
		stop := run(t, p)
		_, err := p.At(t.Context(), 390)
		must(t, err)
		must(t, p.WaitFor(t.Context(), 500))
		stop()
		report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{})
		must(t, err)
		if !report.OK() || report.Checkpoints != 5 {
			t.Errorf("the one at %s: %+v", position, report)
		}
	}
}

// What a past state has in common with the present is in memory once, whether
// it was decoded from a checkpoint or folded.
func TestThePastSharesWithThePresent(t *testing.T) {
	_, p, s := told(t, 700)
	present, shared, own := p.Snapshot(), 0, 0
	for _, position := range []uint64{300, 599, 640} {
		past, err := p.At(t.Context(), position)
		must(t, err)
		for o := range past.List("", "pods", "") {
			switch have := present.Get(o.Key); {
			case have == nil || have.Version != o.Version || have.Decision != o.Decision:
				own++
			case have != o:
				t.Errorf("at %d: %s is in memory twice", position, o.Key)
			default:
				shared++
			}
		}
	}
	if shared == 0 || own == 0 || s.n != 700 {
		t.Errorf("%d shared, %d not", shared, own)
	}
}
