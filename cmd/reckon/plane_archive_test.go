package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"golang.org/x/sync/errgroup"
)

// The oldest leave the stream by count, then by age; and the archive by age.
func TestRetention(t *testing.T) {
	b := aLog(t, 1000) // an event a second
	log := projections.New(b.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Every: 50, Keep: 100}))
	ctx, stop := context.WithCancel(t.Context())
	folded := make(chan error)
	go func() { folded <- log.Run(ctx) }()
	defer func() { stop(); <-folded }()
	if err := log.WaitFor(ctx, 1000); err != nil {
		t.Fatal(err)
	}
	for _, position := range []uint64{100, 400, 600, 800, 900} {
		s, err := log.At(ctx, position)
		if err != nil {
			t.Fatal(err)
		}
		if err := projections.WriteCheckpoint(ctx, s, b.Blobs()); err != nil {
			t.Fatal(err)
		}
	}
	p := &plane{bus: b, archive: b.Archived(), log: log}
	begins := func() (history, stream uint64) {
		t.Helper()
		history, _, err := p.archive.Range(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stream, _, err = p.archive.Stream().Range(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return history, stream
	}
	r := retention{window: 300 * time.Second, events: 500}
	at := func(second int) time.Time { return storedFrom.Add(time.Duration(second) * time.Second) }
	for _, step := range []struct {
		name            string
		keep            time.Duration
		now             time.Time
		byAge           bool
		history, stream uint64 // the first sequence, at most
		atLeast         uint64 // of both
	}{
		{"by count", 0, at(1000), false, 1, 501, 1},
		{"by age", 0, at(1000), true, 1, 701, 1},
		{"nothing more to do", 0, at(1000), true, 1, 701, 1},
		{"history by age", 150 * time.Second, at(1000), true, 851, 851, 301},
	} {
		r.keep = step.keep
		if err := p.retainOnce(ctx, r, step.now, step.byAge); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		history, stream := begins()
		if history > step.history || stream > step.stream || history < step.atLeast || stream+200 < step.stream {
			t.Errorf("%s: the history begins at %d, the stream at %d; want at most %d and %d", step.name, history, stream, step.history, step.stream)
		}
		if _, err := log.At(ctx, max(stream, 2)-1); err != nil {
			t.Errorf("%s: the state that the stream begins with: %v", step.name, err)
		}
	}
}

func TestTheArchiveStaysWhereItIs(t *testing.T) {
	f := folder(t.TempDir())
	where := t.TempDir()
	b := memory.New(time.Now)
	if whole, err := f.withArchive(b); err != nil || whole.Archived() == nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.setArchive(where); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.setArchive(""); err != nil {
		t.Errorf("without the flag: %v", err)
	}
	if err := f.setArchive(filepath.Join(where, "other")); err == nil {
		t.Error("another archive is taken, and the old one forgotten")
	}
	if err := f.setArchive("s3://bucket/x"); err == nil {
		t.Error("another archive is taken, and the old one forgotten")
	}
	whole, err := f.withArchive(aLog(t, 10).Bus)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Archived().Move(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(where, "archive", "segment", archive.Span{First: 1, Last: 5}.String())); err != nil {
		t.Error(err)
	}
}

func TestTheArchiveMayBeABucket(t *testing.T) {
	f := folder(t.TempDir())
	if err := f.setArchive("s3://bucket/x?endpoint=nowhere"); err == nil || !strings.Contains(err.Error(), "--archive") {
		t.Errorf("a wrong address: %v", err)
	}
	if err := os.WriteFile(f.archiveFile(), []byte("s3://bucket/x?endpoint=https%3A%2F%2Fstore.example%3A9000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.setArchive("s3://bucket/x/?endpoint=https://store.example:9000"); err != nil {
		t.Errorf("the same bucket in other words: %v", err)
	}
	if whole, err := f.withArchive(memory.New(time.Now)); err != nil || whole.Archived() == nil {
		t.Error(err)
	}
}

// A server whose bucket doesn't answer starts, from what is in its stream; the
// archiver says what is the matter, and nothing leaves the stream meanwhile.
func TestAServerStartsWithoutItsBucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "reckon")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	f := folder(t.TempDir())
	start := func() (*plane, func()) {
		t.Helper()
		s, err := server.Start(server.Options{Dir: string(f), Name: "reckon"})
		if err != nil {
			t.Fatal(err)
		}
		p := &plane{options: planeOptions{folder: f, windowEvents: 200}, say: &progress{w: io.Discard}, server: s}
		if err := errors.Join(p.connect(), p.openKeys()); err != nil {
			s.Shutdown()
			t.Fatal(err)
		}
		folding, stop := context.WithCancel(t.Context())
		group, folding := errgroup.WithContext(folding)
		if err := p.fold(t.Context(), folding, group); err != nil {
			t.Errorf("it doesn't fold: %v", err)
		}
		return p, func() {
			stop()
			if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("folding ended: %v", err)
			}
			p.bus.Close()
			s.Shutdown()
		}
	}
	grow := func(p *plane, n int) {
		t.Helper()
		for range n {
			if _, err := p.bus.Log().Append(t.Context(), bus.Entry{Event: bustest.Decision("web-0")}); err != nil {
				t.Fatal(err)
			}
		}
		if err := projections.WriteCheckpoint(t.Context(), snapshotAt(t, p), p.bus.Blobs()); err != nil {
			t.Fatal(err)
		}
	}
	p, stop := start()
	for range 4 {
		grow(p, 100)
	}
	r := retention{window: time.Hour, events: 200}
	if err := p.retainOnce(t.Context(), r, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	hot, _, err := p.archive.Stream().Range(t.Context())
	if err != nil || hot <= 1 {
		t.Fatalf("the stream begins at %d (%v)", hot, err)
	}
	stop()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := l.Addr().String()
	l.Close()
	if err := os.WriteFile(f.archiveFile(), []byte("s3://history/x?region=eu-1&endpoint=http://"+endpoint+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, stop = start()
	defer stop()
	for range 4 {
		grow(p, 100)
	}
	for _, position := range []uint64{hot, hot + 100} {
		if _, err := p.log.At(t.Context(), position); err != nil {
			t.Errorf("the state at %d, which is in the stream: %v", position, err)
		}
	}
	for _, err := range p.bus.Log().Read(t.Context(), 1) {
		if !errors.Is(err, events.ErrUnavailable) || !strings.Contains(err.Error(), endpoint) {
			t.Errorf("what the archive has: %v", err)
		}
	}
	err = p.retainOnce(t.Context(), r, time.Now(), false)
	if text := archiveTrouble(err); !strings.Contains(text, "doesn't answer") || !strings.Contains(err.Error(), endpoint) {
		t.Errorf("the archiver says %q: %v", text, err)
	}
	if first, _, err := p.archive.Stream().Range(t.Context()); err != nil || first != hot {
		t.Errorf("the stream begins at %d (%v), want %d", first, err, hot)
	}
}

// snapshotAt is the state at the end of the log.
func snapshotAt(t *testing.T, p *plane) *projections.Snapshot {
	t.Helper()
	_, last, err := p.archive.Stream().Range(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.log.WaitFor(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	return p.log.Snapshot()
}
