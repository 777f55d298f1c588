package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

// smallDisk mounts a file system of so many megabytes in memory.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("mount a tmpfs on %s (the test needs root): %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// On a full disk appends are refused and say why, reads go on, and appends work
// again when there is space, without a restart.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 64)
	s := start(t, server.Options{Dir: dir, Listen: "127.0.0.1:0", Authenticate: outside})
	b := connect(t, s, "component:test")
	node, err := bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: "node:n1", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	ballast := filepath.Join(dir, "ballast")
	acknowledged := map[string]uint64{}
	n := 0
	try := func() error {
		n++
		e := bustest.Decision(fmt.Sprintf("p%d", n%10))
		e.Data = append([]byte(`"`), make([]byte, 100<<10)...)
		ctx, cancel := context.WithTimeout(contextFor(t), 20*time.Second)
		defer cancel()
		seq, err := b.Log().Append(ctx, bus.Entry{Event: e})
		if err == nil {
			acknowledged[e.ID] = seq
		}
		return err
	}
	for range 3 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		fillDisk(t, dir, ballast, 1<<20)
		var err error
		for err == nil {
			err = try()
		}
		if !errors.Is(err, events.ErrUnavailable) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "free space") {
			t.Errorf("round %d: an append on a full disk: %v", round, err)
		}
		// It stays refused, at once, and reads go on.
		for range 3 {
			if err := try(); err == nil {
				t.Errorf("round %d: an append on a full disk was acknowledged", round)
			}
		}
		if _, err := b.Log().AppendBatch(contextFor(t), []bus.Entry{{Event: bustest.Decision("a")}, {Event: bustest.Decision("b")}}); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("round %d: a batch on a full disk: %v", round, err)
		}
		if _, err := node.Log().Append(contextFor(t), bus.Entry{Event: bustest.Fact("n1", "a")}); !errors.Is(err, events.ErrUnavailable) || !strings.Contains(err.Error(), "disk of the server is full") {
			t.Errorf("round %d: a fact of a node elsewhere on a full disk: %v", round, err)
		}
		checkAcknowledged(t, b, acknowledged)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		recovered := contextFor(t)
		for err = try(); err != nil; err = try() {
			if recovered.Err() != nil {
				t.Fatalf("round %d: with space again: %v", round, err)
			}
			<-time.After(100 * time.Millisecond)
		}
		checkAcknowledged(t, b, acknowledged)
	}
	s.Shutdown()
	b = connect(t, start(t, server.Options{Dir: dir}), "component:test")
	checkAcknowledged(t, b, acknowledged)
}

// fillDisk leaves so many bytes free.
func fillDisk(t *testing.T, dir, file string, leave int64) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if size := int64(fs.Bavail)*fs.Bsize - leave; size > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
			t.Fatal(err)
		}
	}
}

// checkAcknowledged sees that each event is there once, at its sequence, and
// that nothing is missing in between.
func checkAcknowledged(t *testing.T, b bus.Bus, acknowledged map[string]uint64) {
	t.Helper()
	seen, next := map[string]bool{}, uint64(1)
	for e, err := range b.Log().Read(contextFor(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Sequence != next {
			t.Fatalf("sequence %d where %d was due", e.Sequence, next)
		}
		next++
		if seen[e.ID] {
			t.Errorf("event %s is there twice", e.ID)
		}
		seen[e.ID] = true
		if want, ok := acknowledged[e.ID]; ok && want != e.Sequence {
			t.Errorf("event %s is at %d, it was acknowledged as %d", e.ID, e.Sequence, want)
		}
	}
	for id, seq := range acknowledged {
		if !seen[id] {
			t.Errorf("acknowledged event %d is missing", seq)
		}
	}
}
