package server

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// A failed sync is told once, is never tried again, and nobody who waits is
// told that something is durable.
func TestFailedSyncIsFinal(t *testing.T) {
	dir := t.TempDir()
	m, _, err := openMark(dir, "LOG")
	if err != nil {
		t.Fatal(err)
	}
	syncs, failures := 0, 0
	c := newCommitter("LOG", func() error {
		if syncs++; syncs == 2 {
			return unix.EIO
		}
		return nil
	}, m, 0, func(error) { failures++ })
	wait := func(sequence uint64) error {
		done := make(chan error, 1)
		c.await(sequence, func(err error) { done <- err })
		return <-done
	}
	if err := wait(1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := wait(2); !errors.Is(err, unix.EIO) {
			t.Errorf("after a failed sync: %v", err)
		}
	}
	if err := wait(1); err != nil {
		t.Errorf("what was durable before: %v", err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if syncs != 2 || failures != 1 {
		t.Errorf("%d syncs and %d failures told, want 2 and 1", syncs, failures)
	}
	m, durable, err := openMark(dir, "LOG")
	if err != nil || durable != 1 {
		t.Fatalf("the mark says %d (%v), want 1", durable, err)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}
