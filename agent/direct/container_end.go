package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/api/types/task"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	killedWithin = 2 * time.Minute // SIGKILL may take its time on a busy disk
	drainWithin  = 5 * time.Second // something else may hold a container's output open
	lostCode     = 255
	reasonLost   = "Unknown"
	reasonOOM    = "OOMKilled"
)

func runs(rec *record) bool {
	return !rec.isSandbox() && rec.containerState() == runtimeapi.ContainerState_CONTAINER_RUNNING
}

// StopContainer implements runtime.Runtime.
func (r *Runtime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	ctx = inNamespace(ctx)
	rec, err := r.findContainer(id)
	if err != nil {
		return gone(err)
	}
	if !runs(rec) {
		return nil
	}
	if err := r.stopContainer(ctx, rec, grace); err != nil {
		return fmt.Errorf("stop container %s: %w", id, err)
	}
	return r.settle(ctx, rec)
}

func (r *Runtime) stopContainer(ctx context.Context, rec *record, grace time.Duration) error {
	if grace > 0 {
		if err := r.signal(ctx, rec.id, rec.about.StopSignal, false); err != nil {
			return gone(err)
		}
		// Not a deadline, which gRPC would also count for itself, and a little differently.
		waiting, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(grace, cancel)
		err := r.awaitExit(waiting, rec.id)
		timer.Stop()
		over := waiting.Err() != nil
		cancel()
		if err == nil || ctx.Err() != nil || !over {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, killedWithin)
	defer cancel()
	return r.killTask(ctx, rec.id)
}

// settle notes how a container ended, if it has, and lets its task go.
func (r *Runtime) settle(ctx context.Context, rec *record) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.isSandbox() {
		return r.settlePause(ctx, rec)
	}
	if !runs(rec) {
		return nil
	}
	t, err := r.task(ctx, rec.id)
	labels := map[string]string{labelFinished: fmt.Sprint(time.Now().UnixNano()), labelCode: fmt.Sprint(lostCode), labelReason: reasonLost}
	switch {
	case errors.Is(err, events.ErrNotFound): // nobody knows how it ended
	case err != nil:
		return err
	case t.Status != task.Status_STOPPED:
		return nil
	default:
		// What a shim couldn't hand on goes with it, so a logger must be there.
		if err := r.openLog(ctx, rec); err != nil && ctx.Err() != nil {
			return err
		}
		labels[labelCode] = fmt.Sprint(t.ExitStatus)
		if at := t.ExitedAt.AsTime(); t.ExitedAt != nil && at.Unix() > 0 {
			labels[labelFinished] = fmt.Sprint(at.UnixNano())
		}
		delete(labels, labelReason)
		if t.ExitStatus != 0 && r.ranOutOfMemory(rec) {
			labels[labelReason] = reasonOOM
		}
	}
	if err := r.note(ctx, rec.id, labels); err != nil {
		return gone(err)
	}
	if err := r.deleteTask(ctx, rec.id); err != nil {
		return err
	}
	r.drain(ctx, rec)
	rec.see(labels)
	return nil
}

// drain waits until what a container said is in its log, before anybody hears
// that it has ended.
func (r *Runtime) drain(ctx context.Context, rec *record) {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	if r.logger.Drain(ctx, rec.id) == nil {
		r.forgetIO(ctx, rec.id) //nolint:errcheck // it is forgotten with the container
	}
}

// settlePause notes that a sandbox's PID namespace is gone; rec.mu is held.
func (r *Runtime) settlePause(ctx context.Context, rec *record) error {
	if !rec.about.Pause || !rec.ready() {
		return nil
	}
	t, err := r.task(ctx, rec.id)
	if err == nil && t.Status != task.Status_STOPPED {
		return nil
	}
	if gone(err) != nil {
		return err
	}
	if err := r.deleteTask(ctx, rec.id); err != nil {
		return err
	}
	return r.unready(ctx, rec)
}

// ranOutOfMemory reports whether the kernel killed a process of the container,
// as it told, or as its cgroup still says.
func (r *Runtime) ranOutOfMemory(rec *record) bool {
	r.mu.Lock()
	told := r.ooms[rec.id]
	r.mu.Unlock()
	if told {
		return true
	}
	for _, path := range []string{"memory/" + rec.cgroup + "/memory.oom_control", rec.cgroup + "/memory.events"} {
		data, err := os.ReadFile(filepath.Join(cgroups, path))
		if err != nil {
			continue // the other interface, or the cgroup is gone
		}
		for line := range strings.Lines(string(data)) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
				n, err := strconv.Atoi(text)
				return err == nil && n > 0
			}
		}
	}
	return false
}

// RemoveContainer implements runtime.Runtime.
func (r *Runtime) RemoveContainer(ctx context.Context, id string) error {
	ctx = inNamespace(ctx)
	if err := r.StopContainer(ctx, id, 0); err != nil {
		return err
	}
	rec, err := r.findContainer(id)
	if err != nil {
		return gone(err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	// One that was created and not started may have a task all the same, if the agent ended meanwhile.
	if err := errors.Join(r.killTask(ctx, id), r.deleteTask(ctx, id)); err != nil {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	if err := errors.Join(r.forgetIO(ctx, id), r.removeSnapshot(ctx, id)); err != nil {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	r.usage.forget(id)
	return r.drop(ctx, id)
}

// ContainerStatus implements runtime.Runtime.
func (r *Runtime) ContainerStatus(_ context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	rec, err := r.findContainer(id)
	if err != nil {
		return nil, err
	}
	base := rec.base()
	out := &runtimeapi.ContainerStatus{
		Id: id, Metadata: base.Metadata, Image: base.Image, ImageRef: base.ImageRef, ImageId: base.ImageId, Labels: base.Labels, Annotations: base.Annotations,
		Mounts: base.Mounts, LogPath: base.LogPath, Resources: base.Resources, User: base.User, StopSignal: base.StopSignal,
		State: rec.containerState(), CreatedAt: rec.created.UnixNano(), StartedAt: rec.number(labelStarted), FinishedAt: rec.number(labelFinished),
		ExitCode: int32(rec.number(labelCode)), Reason: rec.label(labelReason), Message: rec.label(labelMessage),
	}
	if out.State == runtimeapi.ContainerState_CONTAINER_EXITED && out.Reason == "" {
		out.Reason = "Completed"
		if out.ExitCode != 0 {
			out.Reason = "Error"
		}
	}
	return out, nil
}

// ReopenLog implements runtime.Runtime.
func (r *Runtime) ReopenLog(ctx context.Context, id string) error {
	rec, err := r.findContainer(id)
	if err != nil {
		return err
	}
	if !runs(rec) {
		return fmt.Errorf("%w: container %s doesn't run", events.ErrInvalid, id)
	}
	return r.logger.Reopen(ctx, id)
}
