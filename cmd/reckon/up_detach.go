package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// progressFD is the descriptor on which a detached reckon reports its progress
// to the command that started it; the environment names it.
const progressEnv = "RECKON_PROGRESS_FD"

// detach starts this program again with the same arguments, in a session of
// its own, shows its progress, and returns once it says that it is ready. If it
// ends before that, the end of its log is the error.
func (f folder) detach(ctx context.Context, w io.Writer) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	logFile, err := os.OpenFile(f.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		write.Close()
		return err
	}
	defer logFile.Close()
	var args []string
	for _, a := range os.Args[1:] {
		if a != "--detach" && a != "-d" && !strings.HasPrefix(a, "--detach=") {
			args = append(args, a)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(exe, args...)
	child.Stdout, child.Stderr = logFile, logFile
	child.ExtraFiles = []*os.File{write}
	child.Env = append(os.Environ(), progressEnv+"=3", "RECKON_DETACH=false")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		write.Close()
		return fmt.Errorf("start reckon in the background: %w", err)
	}
	write.Close()
	exited := make(chan error, 1)
	go func() { exited <- child.Wait() }()

	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(read); s.Scan(); {
			lines <- s.Text()
		}
	}()
	ready := false
	for {
		select {
		case <-ctx.Done():
			child.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it fails when the child has ended, which is awaited
			<-exited                              //nolint:errcheck // the caller gave up
			return ctx.Err()
		case line, ok := <-lines:
			if ok {
				if line == readyLine {
					ready = true
					continue
				}
				fmt.Fprintln(w, line)
				continue
			}
			if ready {
				return nil
			}
			<-exited //nolint:errcheck // its log says more
			return fmt.Errorf("reckon ended before it was ready; the end of %s:\n%s", f.logFile(), tail(f.logFile(), 15))
		}
	}
}

// tail gives the last lines of a file.
func tail(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// readyLine ends the progress of a detached start.
const readyLine = "READY"

// progress tells people what is going on while things start.
type progress struct {
	w    io.Writer
	pipe *os.File // to the command that detached us; nil in the foreground
}

func newProgress(w io.Writer) (*progress, error) {
	p := &progress{w: w}
	if os.Getenv(progressEnv) == "" {
		return p, nil
	}
	if err := os.Unsetenv(progressEnv); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(3)
	p.pipe = os.NewFile(3, "progress")
	if p.pipe == nil {
		return nil, errors.New("the progress pipe is closed")
	}
	return p, nil
}

// say shows one line. Nobody reading it any more is no reason to stop.
func (p *progress) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(p.w, line)
	if p.pipe != nil {
		fmt.Fprintln(p.pipe, line)
	}
}

// ready ends the progress.
func (p *progress) ready() {
	if p.pipe != nil {
		fmt.Fprintln(p.pipe, readyLine)
		p.pipe.Close()
		p.pipe = nil
	}
}
