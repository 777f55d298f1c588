package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/events"
)

// PauseImage is the name of the sandbox image that the agent imports.
const PauseImage = "reckon.dev/pause:1"

// ErrMissing says that containerd isn't installed; its text says what to do.
var ErrMissing = fmt.Errorf("%w: containerd is not installed (on Debian: apt-get install containerd runc containernetworking-plugins)", events.ErrUnavailable)

const (
	startTimeout = 30 * time.Second
	askEvery     = 20 * time.Millisecond
	mostStarts   = 3
)

// Start makes sure that the private containerd of this folder runs and answers,
// and connects to it. One that runs already is adopted as it is.
func (l Layout) Start(ctx context.Context) (*cri.Client, error) {
	if !filepath.IsAbs(l.Dir) {
		return nil, fmt.Errorf("%w: the folder of containerd must be an absolute path, not %q", events.ErrInvalid, l.Dir)
	}
	client, err := l.startOnce(ctx)
	for range mostStarts - 1 {
		if !errors.Is(err, errEnded) {
			break
		}
		client, err = l.startOnce(ctx)
	}
	return client, err
}

// errEnded: containerd 1.6 gives up when a container ends while it looks at it.
var errEnded = fmt.Errorf("%w: containerd ended while starting", events.ErrUnavailable)

func (l Layout) startOnce(ctx context.Context) (*cri.Client, error) {
	if _, running := l.pid(); !running {
		if err := l.spawn(); err != nil {
			return nil, err
		}
	}
	client, err := cri.Dial(l.Address())
	if err != nil {
		return nil, err
	}
	if err := l.await(ctx, client); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// await asks until CRI answers: 1.6 first says that it isn't initialised yet.
func (l Layout) await(ctx context.Context, client *cri.Client) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		s, err := client.Status(ctx)
		if err == nil && s.RuntimeReady {
			return nil
		}
		if _, running := l.pid(); !running {
			return fmt.Errorf("%w: %s", errEnded, l.lastWords())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: containerd doesn't answer at %s: %v; its log is %s", events.ErrUnavailable, l.Address(), err, l.logFile())
		case <-ticker.C:
		}
	}
}

func (l Layout) spawn() error {
	binary, err := exec.LookPath("containerd")
	if err != nil {
		return ErrMissing
	}
	major, err := majorVersion(binary)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.config()), 0o711); err != nil {
		return err
	}
	if err := l.writeConfig(major); err != nil {
		return fmt.Errorf("write the configuration of containerd: %w", err)
	}
	log, err := os.OpenFile(l.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, stale := range []string{l.Address(), l.Address() + ".ttrpc"} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	cmd := exec.Command(binary, "--config", l.config())
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	go cmd.Wait() //nolint:errcheck // only so that it leaves no zombie; await and the agent see that it ended
	return os.WriteFile(l.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

var versionPattern = regexp.MustCompile(`\bv?(\d+)\.\d+\.\d+`)

func majorVersion(binary string) (int, error) {
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", binary, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s says its version is %q, which can't be read", binary, out)
	}
	return strconv.Atoi(string(m[1]))
}

// Running reports whether the private daemon runs.
func (l Layout) Running() bool {
	_, running := l.pid()
	return running
}

// pid finds the daemon, and makes sure that the process is this folder's containerd.
func (l Layout) pid() (int, bool) {
	data, err := os.ReadFile(l.pidFile())
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, false
	}
	return pid, l.isDaemon(fmt.Sprintf("/proc/%d", pid))
}

// isDaemon reports whether the process in this folder of /proc is this folder's
// containerd. One that is just being started has a program, but no command line yet.
func (l Layout) isDaemon(dir string) bool {
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return false
	}
	if len(cmdline) > 0 {
		return bytes.Contains(cmdline, []byte("\x00"+l.config()+"\x00"))
	}
	program, err := os.Readlink(filepath.Join(dir, "exe"))
	return err == nil && filepath.Base(program) == "containerd"
}

// lastWords gives the daemon's last complaint, or else the end of its log: its
// containers' shims write there too.
func (l Layout) lastWords() string {
	data, err := os.ReadFile(l.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "level=fatal") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "containerd: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// stop ends the daemon, not its containers, and waits until it is gone.
func (l Layout) stop(ctx context.Context) error {
	pid, running := l.pid()
	if !running {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return fmt.Errorf("find containerd (process %d): %w", pid, err)
	}
	defer unix.Close(fd)
	signal := unix.SIGTERM
	for {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop containerd (process %d): %w", pid, err)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		signal = unix.SIGKILL
	}
}
