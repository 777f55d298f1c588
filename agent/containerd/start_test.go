package containerd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A daemon that was just started, on a machine that has no time for it yet, is
// not taken for one that ended: that would start a second one.
func TestADaemonRunsFromItsStart(t *testing.T) {
	end := func(cmd *exec.Cmd) {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait() //nolint:errcheck // it was killed
	}
	for range 8 {
		busy := exec.Command("sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		defer end(busy)
	}
	l := Layout{Dir: t.TempDir()}
	// Without a configuration the daemon would end by itself, perhaps before it is
	// looked at. It waits for ever for one that nobody writes.
	if err := errors.Join(os.MkdirAll(filepath.Dir(l.config()), 0o700), unix.Mkfifo(l.config(), 0o600)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		daemon := exec.Command("containerd", "--config", l.config())
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		dir := fmt.Sprintf("/proc/%d", daemon.Process.Pid)
		running := l.isDaemon(dir)
		end(daemon)
		if !running {
			t.Fatalf("start %d: the daemon isn't seen to run", i+1)
		}
		if l.isDaemon(dir) {
			t.Fatal("a daemon that was killed is seen to run")
		}
	}
}
