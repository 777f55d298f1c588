package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// folded runs a projection over a log until the test ends.
func folded(t *testing.T, b bus.Bus) *projections.Projection {
	t.Helper()
	p := projections.New(b.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), ReadOnly: true}))
	if err := p.Restore(t.Context(), b.Blobs()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }() //nolint:errcheck // ends with the test
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// stateAt is the whole state at a position, encoded.
func stateAt(t *testing.T, p *projections.Projection, position uint64) []byte {
	t.Helper()
	s, err := p.At(t.Context(), position)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newOrigin is a log of 90 events about 40 objects, with three checkpoints.
func newOrigin(t *testing.T) (*memory.Bus, *projections.Projection) {
	t.Helper()
	origin := memory.New(time.Now)
	for i := range 90 {
		key := events.Key{Resource: "configmaps", Namespace: "default", Name: fmt.Sprintf("c%d", i%40)}
		e := &events.Event{Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: "test", Type: events.Created, Time: time.Now(),
			ContentType: events.ContentObject, Data: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"default","name":%q,"uid":"u%d"}}`, key.Name, i)}
		if i >= 40 {
			e.Type, e.ContentType, e.Data = events.Updated, events.ContentPatch, fmt.Appendf(nil, `{"data":{"n":"%d"}}`, i)
		}
		if _, err := origin.Log().Append(t.Context(), bus.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	p := folded(t, origin)
	for _, position := range []uint64{45, 60, 85} {
		s, err := p.At(t.Context(), position)
		if err != nil {
			t.Fatal(err)
		}
		if err := projections.WriteCheckpoint(t.Context(), s, origin.Blobs()); err != nil {
			t.Fatal(err)
		}
	}
	return origin, p
}

func TestForkOfATrimmedLog(t *testing.T) {
	origin, p := newOrigin(t)
	if err := origin.Log().Trim(t.Context(), 46); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reach(t.Context(), origin, 44); !errors.Is(err, events.ErrGone) {
		t.Errorf("a moment before the first checkpoint gave %v", err)
	}
	first, checkpoints, err := reach(t.Context(), origin, 70)
	if err != nil || first != 46 || len(checkpoints) != 2 {
		t.Fatalf("the fork is to begin at %d with %v: %v", first, checkpoints, err)
	}
	k := &fork{to: folder(t.TempDir()), out: io.Discard}
	if err := k.copyLog(t.Context(), origin, first, 70); err != nil {
		t.Fatal(err)
	}
	if err := k.copyCheckpoints(t.Context(), origin, first, 70, checkpoints); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(server.Options{Dir: string(k.to)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	q := folded(t, b)
	if err := q.WaitFor(t.Context(), 71); err != nil {
		t.Fatal(err)
	}
	for _, position := range []uint64{45, 50, 60, 70} {
		if !bytes.Equal(stateAt(t, p, position), stateAt(t, q, position)) {
			t.Errorf("the state at %d differs", position)
		}
	}
	goesOn(t, b, q, 72)
}

// goesOn changes an object that changed last before the stream begins.
func goesOn(t *testing.T, b bus.Bus, q *projections.Projection, next uint64) {
	t.Helper()
	key := events.Key{Resource: "configmaps", Namespace: "default", Name: "c39"}
	e := &events.Event{Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: "test", Type: events.Updated, Time: time.Now(),
		IfVersion: q.Snapshot().Get(key).Version, ContentType: events.ContentPatch, Data: []byte(`{"data":{"n":"new"}}`)}
	seq, err := b.Log().Append(t.Context(), bus.Entry{Event: e, Expect: bus.Expect(q.Snapshot().Decision(key))})
	if err != nil || seq != next {
		t.Fatalf("the next event became %d: %v", seq, err)
	}
	if err := q.WaitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	if o := q.Snapshot().Get(key); o.Version != next {
		t.Errorf("the event had no effect: the object is at %d", o.Version)
	}
}

func TestForkOfALogWithAnArchive(t *testing.T) {
	origin, p := newOrigin(t)
	if _, err := origin.Log().Append(t.Context(), bus.Entry{Event: trimmedBefore(46)}); err != nil { // as Move does; the archive shows the rest
		t.Fatal(err)
	}
	first, checkpoints, err := reach(t.Context(), origin, 91)
	if err != nil {
		t.Fatal(err)
	}
	k := &fork{to: folder(t.TempDir()), out: io.Discard}
	if err := k.copyLog(t.Context(), origin, first, 91); err != nil {
		t.Fatal(err)
	}
	if err := k.copyCheckpoints(t.Context(), origin, first, 91, checkpoints); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(server.Options{Dir: string(k.to)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := k.to.withArchive(b)
	if err != nil {
		t.Fatal(err)
	}
	for log, want := range map[bus.Log]uint64{b.Log(): 46, whole.Log(): 1} {
		if first, last, err := log.Range(t.Context()); err != nil || first != want || last != 91 {
			t.Errorf("a log goes from %d, not %d, to %d: %v", first, want, last, err)
		}
	}
	q := folded(t, whole)
	if err := q.WaitFor(t.Context(), 91); err != nil {
		t.Fatal(err)
	}
	for _, position := range []uint64{10, 45, 70, 91} {
		if !bytes.Equal(stateAt(t, p, position), stateAt(t, q, position)) {
			t.Errorf("the state at %d differs", position)
		}
	}
	goesOn(t, b, q, 92)
}
