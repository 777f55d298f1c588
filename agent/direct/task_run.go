package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/agent/direct/logger"
)

// taskIO are a task's fifos; none for what says nothing.
type taskIO struct {
	stdin, stdout, stderr string
	terminal              bool
}

// fifos are the paths of a container's streams.
func (r *Runtime) fifos(rec *record) taskIO {
	dir := filepath.Join(r.o.Dir, dirFifos, rec.id)
	out := taskIO{stdout: filepath.Join(dir, "stdout"), terminal: rec.about.TTY}
	if !rec.about.TTY {
		out.stderr = filepath.Join(dir, "stderr")
	}
	if rec.about.Stdin {
		out.stdin = filepath.Join(dir, "stdin")
	}
	return out
}

// openIO makes a container's fifos and lets the logger read them.
func (r *Runtime) openIO(ctx context.Context, rec *record) (taskIO, error) {
	io := r.fifos(rec)
	if err := os.MkdirAll(filepath.Dir(io.stdout), 0o700); err != nil {
		return io, err
	}
	for _, path := range []string{io.stdin, io.stdout, io.stderr} {
		if path == "" {
			continue
		}
		if err := unix.Mkfifo(path, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return io, fmt.Errorf("make fifo %s: %w", path, err)
		}
	}
	return io, r.openLog(ctx, rec)
}

// openLog lets the logger read a container's fifos. One that ended is started again.
func (r *Runtime) openLog(ctx context.Context, rec *record) error {
	io := r.fifos(rec)
	open := logger.Open{ID: rec.id, Stdin: io.stdin, Stdout: io.stdout, Stderr: io.stderr, Log: rec.base().LogPath}
	err := r.logger.Open(ctx, open)
	if err == nil || ctx.Err() != nil {
		return err
	}
	fresh, started := r.logger.Start(ctx)
	if started != nil {
		return errors.Join(err, started)
	}
	if fresh {
		if err := r.resumeLogs(ctx); err != nil {
			return err
		}
	}
	return r.logger.Open(ctx, open)
}

// createTask starts a shim and makes the container in it.
func (r *Runtime) createTask(ctx context.Context, id string, io taskIO) error {
	mounts, err := r.daemon.SnapshotService(snapshotter).Mounts(ctx, id)
	if err != nil {
		return classify(err, "find the root file system of %s", id)
	}
	request := &tasks.CreateTaskRequest{ContainerID: id, Terminal: io.terminal, Stdin: io.stdin, Stdout: io.stdout, Stderr: io.stderr}
	for _, m := range mounts {
		request.Rootfs = append(request.Rootfs, &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	_, err = r.daemon.TaskService().Create(ctx, request)
	return classify(native(err), "create a task for %s", id)
}

func (r *Runtime) startTask(ctx context.Context, id string) error {
	_, err := r.daemon.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: id})
	return classify(native(err), "start the task of %s", id)
}

// native gives containerd's error for gRPC's.
func native(err error) error {
	if err == nil {
		return nil
	}
	return errgrpc.ToNative(err)
}

// task gives a container's task; events.ErrNotFound's class when there is none.
func (r *Runtime) task(ctx context.Context, id string) (*task.Process, error) {
	a, err := r.daemon.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	if err != nil {
		return nil, classify(native(err), "look at the task of %s", id)
	}
	return a.Process, nil
}

func (r *Runtime) signal(ctx context.Context, id string, signal int, all bool) error {
	_, err := r.daemon.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(signal), All: all})
	return classify(native(err), "send signal %d to %s", signal, id)
}

// awaitExit waits until a task has ended; none has.
func (r *Runtime) awaitExit(ctx context.Context, id string) error {
	_, err := r.daemon.TaskService().Wait(ctx, &tasks.WaitRequest{ContainerID: id})
	if err = native(err); errdefs.IsNotFound(err) {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return classify(err, "wait for the end of %s", id)
}

// killTask kills all of a task's processes and waits for its end.
func (r *Runtime) killTask(ctx context.Context, id string) error {
	if err := r.signal(ctx, id, int(unix.SIGKILL), true); err != nil {
		return gone(err)
	}
	return r.awaitExit(ctx, id)
}

// deleteTask removes a task that has ended, with its shim.
func (r *Runtime) deleteTask(ctx context.Context, id string) error {
	_, err := r.daemon.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	return gone(classify(native(err), "remove the task of %s", id))
}
