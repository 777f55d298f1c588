package direct

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/reckon-project/reckon/events"
)

const (
	mostOutput   = 16 << 20         // of a command that is waited for
	outputWithin = 10 * time.Second // what a command started may hold its output open
)

// command is what is executed in a container.
type command struct {
	args     []string
	in       io.Reader
	out, err io.Writer
	tty      bool
	resize   <-chan remotecommand.TerminalSize
}

// ExecSync implements runtime.Runtime. Standard output and error come one after the other.
func (r *Runtime) ExecSync(ctx context.Context, id string, args []string, timeout time.Duration) ([]byte, int, error) {
	if timeout > 0 {
		// Not a deadline, which gRPC would also count for itself, and a little differently.
		limited, cancel := context.WithCancelCause(ctx)
		timer := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
		defer timer.Stop()
		defer cancel(nil)
		ctx = limited
	}
	var out, errs bounded
	code, err := r.exec(ctx, id, command{args: args, out: &out, err: &errs})
	if err != nil {
		return nil, 0, fmt.Errorf("execute %q in container %s: %w", args, id, err)
	}
	return append(out.Bytes(), errs.Bytes()...), code, nil
}

// bounded forgets what is too much.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := mostOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// exec runs a command to its end. When ctx is done it is killed.
func (r *Runtime) exec(ctx context.Context, id string, c command) (code int, err error) {
	rec, err := r.findContainer(id)
	if err != nil {
		return 0, err
	}
	if !runs(rec) {
		return 0, fmt.Errorf("%w: container %s is in %s state", events.ErrInvalid, id, rec.containerState())
	}
	after := inNamespace(context.WithoutCancel(ctx))
	ctx = inNamespace(ctx)
	container, err := r.daemon.LoadContainer(ctx, id)
	if err != nil {
		return 0, classify(err, "find container %s", id)
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return 0, classify(err, "find the task of container %s", id)
	}
	p := *rec.process
	p.Args, p.Terminal = c.args, c.tty
	if c.tty {
		p.Env = setVariable(append([]string{}, p.Env...), "TERM=xterm")
	}
	over := make(chan struct{})
	in := c.in
	if in != nil {
		in = &ending{Reader: c.in, over: over}
	}
	options := []cio.Opt{cio.WithStreams(in, c.out, c.err), cio.WithFIFODir(filepath.Join(r.o.Dir, dirFifos))}
	if c.tty {
		options = append(options, cio.WithTerminal)
	}
	process, err := task.Exec(ctx, commandPrefix+r.run+"-"+rand.Text(), (*specs.Process)(&p), cio.NewCreator(options...))
	if err != nil {
		return 0, expired(ctx, classify(err, "prepare the command"))
	}
	defer func() {
		_, gone := process.Delete(after, client.WithProcessKill)
		if gone != nil && err == nil && !errors.Is(classify(gone, ""), events.ErrNotFound) {
			err = classify(gone, "remove the command")
		}
	}()
	ended, err := process.Wait(after)
	if err != nil {
		return 0, classify(err, "wait for the command")
	}
	if err := process.Start(ctx); err != nil {
		return 0, expired(ctx, classify(err, "start the command"))
	}
	if c.resize != nil {
		resizing, stop := context.WithCancel(after)
		defer stop()
		go follow(resizing, c.resize, process.Resize)
	}
	if in != nil {
		running, stop := context.WithCancel(after)
		defer stop()
		go func() {
			select {
			case <-running.Done():
			case <-over:
				process.CloseIO(running, client.WithStdinCloser) //nolint:errcheck // the command may have ended
			}
		}()
	}
	select {
	case <-ctx.Done():
		if err := process.Kill(after, unix.SIGKILL); gone(err) != nil {
			return 0, classify(err, "kill the command")
		}
		<-ended
		process.IO().Cancel()
		return 0, context.Cause(ctx)
	case status := <-ended:
		return r.finish(process, status)
	}
}

// finish waits for the last of a command's output.
func (r *Runtime) finish(process client.Process, status client.ExitStatus) (int, error) {
	if err := status.Error(); err != nil {
		return 0, classify(err, "wait for the command")
	}
	drained := make(chan struct{})
	go func() { process.IO().Wait(); close(drained) }()
	timer := time.NewTimer(outputWithin)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		process.IO().Cancel()
		process.IO().Close() //nolint:errcheck // what holds it open may go on
	}
	return int(status.ExitCode()), nil
}

// ending tells when a reader has ended.
type ending struct {
	io.Reader
	over chan struct{}
	once sync.Once
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.once.Do(func() { close(e.over) })
	}
	return n, err
}

// expired says that it was the time that was up, if it was.
func expired(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// follow hands on a terminal's sizes.
func follow(ctx context.Context, sizes <-chan remotecommand.TerminalSize, resize func(ctx context.Context, w, h uint32) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			resize(ctx, uint32(size.Width), uint32(size.Height)) //nolint:errcheck // the command may have ended
		}
	}
}
