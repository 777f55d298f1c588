package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// shimSockets are the sockets of the shims that run, or did when the daemon was
// last there. They lie outside the folder, and a shim that is killed leaves its own.
func (l Layout) shimSockets() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(l.state(), "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, file := range files {
		address, err := os.ReadFile(file)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		if path, ok := strings.CutPrefix(strings.TrimSpace(string(address)), "unix://"); ok {
			out = append(out, path)
		}
	}
	return out, nil
}

// killAll ends what is left of this folder's shims and containers when the
// daemon couldn't be asked to, and what the daemon was just starting when it ended.
func (l Layout) killAll(ctx context.Context) error {
	ticker := time.NewTicker(busyRetry)
	defer ticker.Stop()
	for {
		pids, err := l.leftovers()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d, which containerd left: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v, which containerd left, don't end: %w", pids, ctx.Err())
		case <-ticker.C:
		}
	}
}

// leftovers are the processes in this folder's cgroups, its shims, and those
// that still have the daemon's command line: a daemon, or a child of it that has
// not become another program yet.
func (l Layout) leftovers() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	inCgroup, ofShim := []byte(":"+l.CgroupPrefix()+"/"), []byte("\x00-address\x00"+l.Address()+"\x00")
	ofDaemon := []byte("\x00--config\x00" + l.config() + "\x00")
	var out []int
	for _, dir := range dirs {
		cgroup, err1 := os.ReadFile(filepath.Join(dir, "cgroup"))
		cmdline, err2 := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err1 != nil || err2 != nil || l.isZombie(dir) {
			continue // it is gone
		}
		if !bytes.Contains(cgroup, inCgroup) && !bytes.Contains(append(cmdline, 0), ofShim) && !bytes.Contains(cmdline, ofDaemon) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		out = append(out, pid)
	}
	return out, nil
}

// isZombie reports a process that has ended and whose parent hasn't asked yet.
func (Layout) isZombie(dir string) bool {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z")) || bytes.HasPrefix(rest, []byte("X"))
}

func removeFiles(paths []string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
