package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dataFormat is the version of the data folder's layout that this program writes.
const dataFormat = 1

// prepare makes the folder if it is missing and refuses one that a newer
// version of the program wrote.
func (f folder) prepare() error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	data, err := os.ReadFile(f.formatFile())
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(f.formatFile(), fmt.Appendln(nil, dataFormat), 0o600)
	}
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return fmt.Errorf("%s should hold a number, it holds %q: is %s a data folder of reckon?", f.formatFile(), strings.TrimSpace(string(data)), f)
	}
	if n > dataFormat {
		return fmt.Errorf("the data folder %s has format %d, this program knows up to %d: use a newer reckon", f, n, dataFormat)
	}
	return nil
}

// running gives the pid of the reckon that uses the folder, 0 if there is none.
func (f folder) running() (int, error) {
	data, err := os.ReadFile(f.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return 0, nil
	}
	if err := syscall.Kill(pid, 0); err != nil {
		return 0, nil
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || !strings.Contains(exe, "reckon") {
		return 0, nil // the number went to another program
	}
	return pid, nil
}

// claim writes the pid file; release removes it.
func (f folder) claim() (release func(), err error) {
	pid, err := f.running()
	if err != nil {
		return nil, err
	}
	if pid != 0 && pid != os.Getpid() {
		return nil, fmt.Errorf("the data folder %s is in use by reckon with pid %d: stop it with reckon down --data %s", f, pid, f)
	}
	if err := os.WriteFile(f.pidFile(), fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		return nil, err
	}
	return func() { os.Remove(f.pidFile()) }, nil
}
