package server

import (
	"context"
	"reflect"
	"testing"

	"github.com/reckon-project/reckon/bus"
)

// counting counts what is read from the files.
type counting struct {
	bus.Files
	n int
}

func (c *counting) ReadBlocks(ctx context.Context, stream string, from, last uint64, yield func(bus.Stored) bool) {
	c.Files.ReadBlocks(ctx, stream, from, last, func(m bus.Stored) bool { c.n++; return yield(m) })
}

// A program beside the server reads the same from the files as over NATS, up to
// what is durable, also while it is written to; a node doesn't get to them.
func TestFilesBesideTheServer(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0", Authenticate: func(l Login) (string, error) { return l.User, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	writer, err := s.Connect("component:writer")
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	const n = 3000
	fillLog(t, writer.Log(), n)

	connect := func(who bus.Credentials) bus.Bus {
		t.Helper()
		who.Password = "right"
		b, err := bus.Connect(contextOf(t), s.ClientURL(), who)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	files := &counting{Files: Files(dir)}
	beside := connect(bus.Credentials{Identity: "component:beside", Files: files})
	want, got := readAll(t, connect(bus.Credentials{Identity: "component:far"}).Log(), 1), readAll(t, beside.Log(), 1)
	if len(got) != n || len(want) != n {
		t.Fatalf("%d events beside the server, %d over NATS, want %d", len(got), len(want), n)
	}
	for i := range want {
		if len(want[i].Data) == 0 && len(got[i].Data) == 0 {
			want[i].Data, got[i].Data = nil, nil
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("event %d is %+v beside the server, %+v over NATS", want[i].Sequence, got[i], want[i])
		}
	}
	if files.n < n-256 {
		t.Errorf("%d of %d events came from the files", files.n, n)
	}

	// Followed while more is written.
	written := make(chan struct{})
	go func() {
		defer close(written)
		fillLog(t, writer.Log(), n)
	}()
	next := uint64(1)
	for slice, err := range beside.Log().Follow(contextOf(t), 1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range slice {
			if e.Sequence != next {
				t.Fatalf("sequence %d where %d was due", e.Sequence, next)
			}
			next++
		}
		if next > 2*n {
			break
		}
	}
	<-written
}
