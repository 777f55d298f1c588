package projections_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func quiet() projections.Option {
	return projections.Logger(slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// told is a projection over a story of n events, folded, with checkpoints every 100.
func told(t *testing.T, n int, options ...projections.Option) (*memory.Bus, *projections.Projection, *story) {
	now := began
	b := memory.New(func() time.Time { now = now.Add(time.Second); return now })
	p := projections.New(b.Log(), append([]projections.Option{quiet(), projections.Buffer(50),
		projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Every: 1 << 40})}, options...)...)
	s := newStory(t, 7, b.Log(), p)
	run(t, p)
	for i := range n {
		s.step()
		must(t, p.WaitFor(t.Context(), uint64(s.n)))
		if i%100 == 99 {
			must(t, projections.WriteCheckpoint(t.Context(), p.Snapshot(), b.Blobs()))
		}
	}
	return b, p, s
}

// Changes goes on from any position: what the buffer dropped is folded again,
// and nothing is missed or seen twice where the two meet.
func TestChangesGoOnFromAnyPosition(t *testing.T) {
	_, p, s := told(t, 700)
	for _, from := range []uint64{0, 1, 99, 100, 333, 649, 699} {
		ctx, cancel := context.WithCancel(t.Context())
		next, state := from, map[events.Key]uint64{}
		before, err := p.At(ctx, from)
		must(t, err)
		for o := range before.List("", "pods", "") {
			state[o.Key] = o.Version
		}
		for changes, err := range p.Changes(ctx, from) {
			must(t, err)
			for _, c := range changes {
				next++
				if c.Event.Sequence != next {
					t.Fatalf("from %d: event %d where %d was due", from, c.Event.Sequence, next)
				}
				if c.Void == nil && c.Old.Exists() && c.Event.Key.Resource == "pods" && state[c.Event.Key] != c.Old.Version {
					t.Fatalf("from %d: %s was at %d, Old is at %d", from, c.Event.Key, state[c.Event.Key], c.Old.Version)
				}
				if c.Void == nil && c.New.Exists() {
					state[c.Event.Key] = c.New.Version
				}
			}
			if next == uint64(s.n) {
				break
			}
		}
		cancel()
	}
	for _, err := range p.Changes(t.Context(), 10, projections.BufferOnly()) {
		if !errors.Is(err, events.ErrGone) {
			t.Errorf("BufferOnly from 10: %v", err)
		}
	}
}

// A reader slower than the buffer is served all the same.
func TestASlowReaderMissesNothing(t *testing.T) {
	_, p, s := told(t, 120)
	next, end := uint64(110), uint64(1000)
	for changes, err := range p.Changes(t.Context(), next) {
		must(t, err)
		for _, c := range changes {
			next++
			if c.Event.Sequence != next {
				t.Fatalf("event %d where %d was due", c.Event.Sequence, next)
			}
		}
		for i := 0; i < 300 && uint64(s.n) < end; i++ {
			s.step()
			must(t, p.WaitFor(t.Context(), uint64(s.n)))
		}
		if next == end {
			break
		}
	}
}

func TestTheStateAtATime(t *testing.T) {
	_, p, s := told(t, 300)
	for _, want := range []uint64{1, 57, 300} {
		got, err := p.PositionAt(t.Context(), began.Add(time.Duration(want)*time.Second+time.Millisecond))
		must(t, err)
		if got != want {
			t.Errorf("position is %d, want %d", got, want)
		}
	}
	if got, err := p.PositionAt(t.Context(), began); err != nil || got != 0 {
		t.Errorf("before the first event: %d %v", got, err)
	}
	past, err := p.At(t.Context(), 57)
	must(t, err)
	if past.Position() != 57 {
		t.Errorf("at %d", past.Position())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.At(ctx, uint64(s.n)+1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the future: %v", err)
	}
}

func TestADamagedCheckpointIsPassedOver(t *testing.T) {
	b, _, _ := told(t, 300)
	ctx := t.Context()
	names, err := b.Blobs().List(ctx, "checkpoint/")
	must(t, err)
	damage := func(name string, f func([]byte) []byte) {
		r, err := b.Blobs().Get(ctx, name)
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		must(t, b.Blobs().Put(ctx, name, bytes.NewReader(f(bytes.Clone(data)))))
	}
	damage(names[2], func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
	damage(names[1], func(data []byte) []byte { return data[:len(data)-3] })
	p := projections.New(b.Log(), quiet())
	must(t, p.Restore(ctx, b.Blobs()))
	if p.Snapshot().Position() != 100 {
		t.Errorf("restored at %d, want 100", p.Snapshot().Position())
	}
}

func TestACheckpointOfAnotherLogIsRefused(t *testing.T) {
	b, _, _ := told(t, 200)
	short := newLog()
	s := newStory(t, 9, short.Log(), nil)
	for range 150 {
		s.step()
	}
	err := projections.New(short.Log(), quiet()).Restore(t.Context(), b.Blobs())
	if !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), "the log ends at 150") {
		t.Errorf("a checkpoint beyond the log's end: %v", err)
	}
	for range 100 {
		s.n += 1000 // other ids
		s.step()
	}
	err = projections.New(short.Log(), quiet()).Restore(t.Context(), b.Blobs())
	if !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), "another log") {
		t.Errorf("a checkpoint of another log: %v", err)
	}
}

// Checkpoints are written while folding goes on, and at a clean stop.
func TestRunWritesCheckpoints(t *testing.T) {
	b := newLog()
	ctx := t.Context()
	option := projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Every: 50, Keep: 2})
	p := projections.New(b.Log(), option)
	s := newStory(t, 3, b.Log(), p)
	stop := run(t, p)
	for range 1111 {
		s.step()
		must(t, p.WaitFor(ctx, uint64(s.n)))
	}
	stop()
	names, err := b.Blobs().List(ctx, "checkpoint/")
	must(t, err)
	if len(names) < 2 || len(names) > 1111/50+3 { // how many depends on how late the writer wakes
		t.Errorf("checkpoints kept: %v", names)
	}
	again := projections.New(b.Log(), option)
	must(t, again.Restore(ctx, b.Blobs()))
	if again.Snapshot().Position() != 1111 || !bytes.Equal(encoded(t, again.Snapshot()), encoded(t, p.Snapshot())) {
		t.Errorf("restored at %d", again.Snapshot().Position())
	}
	// Watches go on from before the restart.
	run(t, again)
	next := uint64(17)
	for changes, err := range again.Changes(ctx, next) {
		must(t, err)
		next = changes[len(changes)-1].Event.Sequence
		if next == 1111 {
			break
		}
	}
}

// After a trim the base checkpoint is the beginning: folding on from it, and
// live through it, give the same, and what is older is gone.
func TestTrimmingKeepsAllFoldsEqual(t *testing.T) {
	b, p, s := told(t, 450)
	ctx := t.Context()
	if _, err := p.Trim(ctx, 420, "test"); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("trimmed with one checkpoint left: %v", err)
	}
	begins, err := p.Trim(ctx, 250, "test")
	must(t, err)
	if begins != 201 {
		t.Fatalf("the log begins at %d, want 201", begins)
	}
	s.n++
	for range 100 {
		s.step()
		must(t, p.WaitFor(ctx, uint64(s.n)))
	}
	last := p.Snapshot()
	for _, back := range []uint64{400, 300, 200} {
		q := projections.New(b.Log(), quiet())
		must(t, q.Restore(ctx, b.Blobs()))
		if q.Snapshot().Position() != back {
			t.Fatalf("restored at %d, want %d", q.Snapshot().Position(), back)
		}
		run(t, q)
		must(t, q.WaitFor(ctx, last.Position()))
		if !bytes.Equal(encoded(t, q.Snapshot()), encoded(t, last)) {
			t.Errorf("folded on from %d differs from live", back)
		}
		if _, err := q.At(ctx, 150); !errors.Is(err, events.ErrGone) {
			t.Errorf("at 150: %v", err)
		}
		names, err := b.Blobs().List(ctx, "checkpoint/")
		must(t, err)
		must(t, b.Blobs().Delete(ctx, names[len(names)-1]))
	}
	for _, err := range p.Changes(ctx, 150) {
		if !errors.Is(err, events.ErrGone) {
			t.Errorf("changes from 150: %v", err)
		}
		break
	}
	if _, err := p.PositionAt(ctx, began.Add(10*time.Second)); !errors.Is(err, events.ErrGone) {
		t.Errorf("position before the history: %v", err)
	}
	for _, name := range []string{"", "checkpoint/"} {
		names, err := b.Blobs().List(ctx, name)
		must(t, err)
		for _, n := range names {
			must(t, b.Blobs().Delete(ctx, n))
		}
	}
	if err := projections.New(b.Log(), quiet()).Restore(ctx, b.Blobs()); !errors.Is(err, events.ErrGone) {
		t.Errorf("restore of a trimmed log without checkpoints: %v", err)
	}
	// The next decision on a subject that the log has no event of expects none.
	for o := range last.List("", "pods", "") {
		want := uint64(0)
		if e, err := b.Log().Last(ctx, o.Key.Subject()); err == nil {
			want = e.Sequence
		}
		if got := last.Decision(o.Key); got != want {
			t.Errorf("decision of %s is %d, the log says %d", o.Key, got, want)
		}
	}
}

func TestRetainedSnapshotsExpire(t *testing.T) {
	now := began
	_, p, s := told(t, 10, projections.Clock(func() time.Time { return now }))
	old := p.Snapshot()
	p.Retain(old, 5*time.Minute)
	s.step()
	must(t, p.WaitFor(t.Context(), uint64(s.n)))
	if p.Retained(10) != old || p.Retained(11) != nil {
		t.Error("retained the wrong ones")
	}
	now = now.Add(5 * time.Minute)
	if p.Retained(10) != nil {
		t.Error("it should have expired")
	}
	for i := range 300 {
		s.step()
		must(t, p.WaitFor(t.Context(), uint64(s.n)))
		p.Retain(p.Snapshot(), time.Minute+time.Duration(i)*time.Second)
	}
	if p.Retained(12) != nil || p.Retained(uint64(s.n)) == nil || p.Retained(uint64(s.n)-255) == nil {
		t.Error("the bound didn't hold, or the wrong ones went")
	}
}

// VOLATILE keeps last values: whole objects that come and go, whose beginnings
// nobody knows any more.
func TestAProjectionOfVolatile(t *testing.T) {
	b := newLog()
	log := b.Volatile()
	ctx := t.Context()
	lease := func(typ, name, holder string, ifVersion uint64) bus.Entry {
		return bus.Entry{Event: &events.Event{
			Prefix: events.PrefixVolatile, Key: events.Key{Group: "coordination.k8s.io", Resource: "leases", Namespace: "default", Name: name},
			ID: bus.NewID(), Source: "test", Type: typ, Time: began, IfVersion: ifVersion, ContentType: events.ContentObject,
			Data: []byte(`{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"namespace":"default","name":"` + name + `","uid":"u-` + name + `"},"spec":{"holderIdentity":"` + holder + `"}}`),
		}}
	}
	gone := lease(events.Deleted, "b", "", 0)
	gone.Event.ContentType, gone.Event.Data, gone.Event.Actor = "", nil, "expiry"
	for _, e := range []bus.Entry{
		lease(events.Created, "a", "x", 0), lease(events.Created, "b", "x", 0), lease(events.Updated, "a", "y", 1),
		gone, lease(events.Created, "b", "z", 0), lease(events.Created, "b", "zz", 0),
	} {
		_, err := log.Append(ctx, e)
		must(t, err)
	}
	whole := projections.New(log, projections.Volatile())
	run(t, whole)
	must(t, whole.WaitFor(ctx, 6))
	must(t, log.Trim(ctx, 3)) // as the age limit does
	late := projections.New(log, projections.Volatile())
	run(t, late)
	must(t, late.WaitFor(ctx, 6))
	for _, name := range []string{"a", "b"} {
		k := events.Key{Group: "coordination.k8s.io", Resource: "leases", Namespace: "default", Name: name}
		a, b := whole.Snapshot().Get(k), late.Snapshot().Get(k)
		if !bytes.Equal(encodeObject(t, a.Value), encodeObject(t, b.Value)) || a.Version != b.Version {
			t.Errorf("folds of %s differ: %v, %v", name, a, b)
		}
	}
	if n, voids := late.Snapshot().Len("coordination.k8s.io", "leases"), late.Snapshot().Voids(); n != 2 || voids != 0 {
		t.Errorf("%d leases, %d voids", n, voids)
	}
	if _, err := late.At(ctx, 4); !errors.Is(err, events.ErrGone) {
		t.Errorf("the past of a volatile log: %v", err)
	}
	if err := projections.New(log).Run(ctx); !errors.Is(err, events.ErrGone) {
		t.Errorf("a log folded from its middle: %v", err)
	}
}

// Expiry is seen as deletion, and the name can be used again.
func TestVolatileObjectsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		p := projections.New(b.Volatile(), projections.Volatile())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		key := events.Key{Resource: "events", Namespace: "default", Name: "e"}
		put := func() {
			_, err := b.Volatile().Append(ctx, bus.Entry{TTL: time.Minute, Event: &events.Event{
				Prefix: events.PrefixVolatile, Key: key, ID: bus.NewID(), Source: "test", Type: events.Created, Time: time.Now(), ContentType: events.ContentObject,
				Data: []byte(`{"apiVersion":"v1","kind":"Event","metadata":{"namespace":"default","name":"e","uid":"u"},"message":"hello"}`),
			}})
			must(t, err)
		}
		for round := range uint64(2) {
			put()
			must(t, p.WaitFor(ctx, 2*round+1))
			if p.Snapshot().Get(key) == nil {
				t.Fatal("it isn't there")
			}
			must(t, p.WaitFor(ctx, 2*round+2)) // the clock goes on until it has expired
			if p.Snapshot().Get(key) != nil {
				t.Fatal("it didn't expire")
			}
		}
		cancel()
		<-ended
	})
}
