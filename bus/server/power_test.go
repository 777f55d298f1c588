package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/bus/server"
)

// ext4's ioctl that stops a file system as a power cut does: with noLogFlush what
// its journal has not written by then is lost.
const (
	ext4Shutdown = 0x8004587d
	noLogFlush   = 2
)

// disk is an ext4 file system of its own in a file.
type disk struct{ image, dir string }

func newDisk(t *testing.T, megabytes int64) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{image: filepath.Join(dir, "image"), dir: filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", d.image)
	d.mount(t)
	return d
}

func (d *disk) mount(t *testing.T) {
	t.Helper()
	run(t, "mount", "-o", "loop", d.image, d.dir)
	t.Cleanup(func() { unix.Unmount(d.dir, unix.MNT_DETACH) }) //nolint:errcheck // not mounted any more
}

// cutPower drops what isn't synced and lets nothing more through.
func (d *disk) cutPower(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, noLogFlush); err != nil {
		t.Fatalf("stop the file system: %v", err)
	}
}

// powerBack mounts again; ext4 replays its journal. It mounts a copy: a mount namespace that
// another program made meanwhile keeps the file system that was stopped.
func (d *disk) powerBack(t *testing.T) {
	t.Helper()
	run(t, "umount", d.dir)
	next := d.image + "-next"
	run(t, "cp", "--sparse=always", d.image, next)
	if err := os.Remove(d.image); err != nil {
		t.Fatal(err)
	}
	d.image = next
	d.mount(t)
}

func run(t *testing.T, name string, arguments ...string) {
	t.Helper()
	out, err := exec.Command(name, arguments...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%v: apt-get install e2fsprogs mount", err)
	}
	if err != nil {
		t.Fatalf("%s %s (the test needs root and loop devices): %v: %s", name, strings.Join(arguments, " "), err, out)
	}
}

// Every acknowledged event is in the log once, at its sequence, after the power
// was cut while it was written to; the process ended as its sync failed.
func TestPowerCutLosesNothing(t *testing.T) {
	d := newDisk(t, 512)
	acknowledged := map[string]uint64{}
	for round := range 3 {
		// A new name each time: ext4 writes what was cut to nothing before with the next sync of anything.
		unsynced := filepath.Join(d.dir, fmt.Sprint("unsynced-", round))
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), crashDir+"="+d.dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		n := 0
		for ; lines.Scan(); n++ {
			if id, text, ok := strings.Cut(lines.Text(), " "); ok {
				if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
					acknowledged[id] = seq
				}
			}
			if n == 1000*(round+1) {
				if err := os.WriteFile(unsynced, []byte("gone"), 0o600); err != nil {
					t.Fatal(err)
				}
				d.cutPower(t)
			}
		}
		err = c.Wait()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 74 {
			t.Errorf("after its sync failed the process ended with %v, want exit status 74", err)
		}
		d.powerBack(t)
		if b, err := os.ReadFile(unsynced); err == nil && len(b) > 0 {
			t.Fatal("this power cut keeps what was never synced: it shows nothing")
		}
		s, err := server.Start(server.Options{Dir: d.dir})
		if err != nil {
			t.Fatal(err)
		}
		b := connect(t, s, "component:test")
		checkAcknowledged(t, b, acknowledged)
		_, last, err := b.Log().Range(contextFor(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d acknowledged so far, the log ends at %d", round, len(acknowledged), last)
		s.Shutdown()
	}
	run(t, "umount", d.dir)
}
