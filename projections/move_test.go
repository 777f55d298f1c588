package projections_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// What was moved into the archive is read as before, an object whose last event
// was moved goes on, and every way of folding gives the same.
func TestMovedHistoryIsRead(t *testing.T) {
	ctx := t.Context()
	now := began
	b := memory.New(func() time.Time { now = now.Add(time.Second); return now })
	log := archive.Wrap(b, nil).Archived()
	option := projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Every: 1 << 40})
	p := projections.New(log, quiet(), projections.Buffer(50), option)
	s := newStory(t, 7, log, p)
	run(t, p)
	step := func(n int) {
		for range n {
			s.step()
			must(t, p.WaitFor(ctx, uint64(s.n)))
			if s.n%100 == 0 {
				must(t, projections.WriteCheckpoint(ctx, p.Snapshot(), b.Blobs()))
			}
		}
	}
	step(450)
	then := map[uint64][]byte{}
	for _, position := range []uint64{1, 50, 150, 200, 201, 250, 399} {
		at, err := p.At(ctx, position)
		must(t, err)
		then[position] = encoded(t, at)
	}
	past := func(p *projections.Projection) {
		t.Helper()
		for position, want := range then {
			at, err := p.At(ctx, position)
			must(t, err)
			if !bytes.Equal(encoded(t, at), want) {
				t.Errorf("the state at %d is another one", position)
			}
		}
	}

	if _, err := p.Move(ctx, 430, "test"); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("moved with one checkpoint left: %v", err)
	}
	for range 2 { // the second time there is nothing to do
		begins, err := p.Move(ctx, 250, "test")
		must(t, err)
		if first, _, err := b.Log().Range(ctx); err != nil || begins != 201 || first != 201 {
			t.Fatalf("the stream begins at %d, %d (%v), want 201", begins, first, err)
		}
	}
	s.n++ // the event that says so
	past(p)
	step(100)
	past(p)
	for o := range p.Snapshot().List("", "pods", "") {
		want := uint64(0)
		if e, err := b.Log().Last(ctx, o.Key.Subject()); err == nil {
			want = e.Sequence
		}
		if got := p.Snapshot().Decision(o.Key); got != want {
			t.Errorf("decision of %s is %d, the stream says %d", o.Key, got, want)
		}
	}
	at, err := p.PositionAt(ctx, began.Add(10*time.Second))
	if err != nil || at != 10 {
		t.Errorf("position ten seconds after the beginning: %d, %v", at, err)
	}

	// Folding on from each checkpoint, and from zero, gives the same.
	live := p.Snapshot()
	names, err := b.Blobs().List(ctx, "checkpoint/")
	must(t, err)
	for {
		q := projections.New(log, quiet(), option)
		must(t, q.Restore(ctx, b.Blobs()))
		run(t, q)
		must(t, q.WaitFor(ctx, live.Position()))
		if !bytes.Equal(encoded(t, q.Snapshot()), encoded(t, live)) {
			t.Errorf("folded with %d checkpoints it differs from live", len(names))
		}
		past(q)
		if len(names) == 0 {
			break
		}
		must(t, b.Blobs().Delete(ctx, names[len(names)-1]))
		names = names[:len(names)-1]
	}
}

// The history ends behind a checkpoint, and says where it begins.
func TestTrimmingTheArchive(t *testing.T) {
	ctx := t.Context()
	now := began
	b := memory.New(func() time.Time { now = now.Add(time.Second); return now })
	log := archive.Wrap(b, nil).Archived()
	p := projections.New(log, quiet(), projections.Buffer(50),
		projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Every: 10, Keep: 1}))
	s := newStory(t, 7, log, p)
	stop := run(t, p)
	for i := range 50 {
		for range 10 {
			s.step()
		}
		must(t, p.WaitFor(ctx, uint64(s.n)))
		must(t, projections.WriteCheckpoint(ctx, p.Snapshot(), b.Blobs()))
		if i%10 == 9 {
			before, err := p.Move(ctx, uint64(s.n)-40, "test")
			must(t, err)
			s.n++
			if first, _, err := b.Log().Range(ctx); err != nil || first != before {
				t.Fatalf("the stream begins at %d (%v), want %d", first, err, before)
			}
		}
	}
	hot, _, err := b.Log().Range(ctx)
	must(t, err)
	begins, err := p.Trim(ctx, 222, "test")
	must(t, err)
	first, last, err := log.Range(ctx)
	must(t, err)
	if still, _, _ := b.Log().Range(ctx); still != hot || first > begins || begins > 223 || begins < 200 {
		t.Errorf("trimmed below %d: the history begins at %d, the stream at %d (was %d)", begins, first, still, hot)
	}
	if _, err := p.At(ctx, begins-1); err != nil {
		t.Errorf("at the checkpoint that the history begins with: %v", err)
	}
	if first > 1 {
		if _, err := p.At(ctx, first-2); !errors.Is(err, events.ErrGone) {
			t.Errorf("before the history: %v", err)
		}
	}
	if first, again, err := log.Range(ctx); err != nil || again != last || first > begins {
		t.Errorf("the log is %d to %d (%v)", first, again, err)
	}
	// However the checkpoints were thinned out: the stream's two bases are there.
	must(t, p.WaitFor(ctx, last))
	stop()
	names, err := b.Blobs().List(ctx, "checkpoint/")
	must(t, err)
	base := slices.Index(names, fmt.Sprintf("checkpoint/%020d", hot-1))
	if base < 0 || base+1 >= len(names) {
		t.Fatalf("the stream begins at %d, the checkpoints are %v", hot, names)
	}
	for _, name := range names[base+2:] {
		must(t, b.Blobs().Delete(ctx, name))
	}
	for _, name := range []string{"archive/index/", "archive/segment/"} { // and the archive is lost
		blobs, err := b.Blobs().List(ctx, name)
		must(t, err)
		for _, blob := range blobs {
			must(t, b.Blobs().Delete(ctx, blob))
		}
	}
	q := projections.New(b.Log(), quiet())
	must(t, q.Restore(ctx, b.Blobs()))
	run(t, q)
	must(t, q.WaitFor(ctx, last))
	if !bytes.Equal(encoded(t, q.Snapshot()), encoded(t, p.Snapshot())) {
		t.Error("folded on from the stream's base it differs from live")
	}
}
