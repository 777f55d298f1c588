package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// grace is how long a container may take to stop.
func (w *Worker) grace() time.Duration {
	return w.graceNow()
}

func seconds64(n int64) time.Duration { return time.Duration(n) * time.Second }

// kill stops a running container: the preStop hook, the signal, and SIGKILL
// when the grace period, which both share, is over.
func (w *Worker) kill(ctx context.Context, c *container, grace time.Duration) error {
	id := c.current.Id
	if l := c.spec.Lifecycle; l != nil && l.PreStop != nil && grace > 0 {
		begin := w.host.Clock.Now()
		hctx, cancel := context.WithTimeout(ctx, grace)
		if err := w.hook(hctx, c, l.PreStop); err != nil && ctx.Err() == nil {
			w.host.Log.Info("a preStop hook failed", "container", c.spec.Name, "err", err)
		}
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		grace = max(grace-w.host.Clock.Since(begin), 2*time.Second)
	}
	if err := w.host.Runtime.StopContainer(ctx, id, grace); err != nil {
		return err
	}
	w.markDirty()
	status, err := w.host.Runtime.ContainerStatus(ctx, id)
	if err != nil {
		return err
	}
	c.current = status
	return nil
}

// end stops everything of a pod for good, then lets its last phase be reported.
func (w *Worker) end(ctx context.Context) error {
	if w.ended {
		return nil
	}
	if err := w.stopContainers(ctx); err != nil {
		return err
	}
	for _, id := range w.sandboxes {
		if err := w.host.Runtime.StopSandbox(ctx, id); err != nil {
			return err
		}
	}
	if w.sandbox != nil {
		w.sandbox.State = cri.PodSandboxState_SANDBOX_NOTREADY
	}
	if err := w.host.Volumes.Unmount(ctx, w.uid); err != nil {
		return err
	}
	if err := w.host.release(ctx, w.uid); err != nil {
		return err
	}
	w.ended = true
	w.host.Room.Leave(w.uid)
	w.settleFinal()
	return nil
}

// settleFinal decides the phase of a pod that was stopped before its end.
func (w *Worker) settleFinal() {
	if p := w.previous.Phase; w.final != "" || p == v1.PodSucceeded || p == v1.PodFailed {
		return
	}
	w.final = v1.PodSucceeded
	for _, c := range w.containers {
		if c.kind == regular && !c.succeeded() || c.kind == initial && c.exited() && !c.succeeded() {
			w.final = v1.PodFailed
		}
	}
}

// stopContainers stops the containers together, then the sidecars.
func (w *Worker) stopContainers(ctx context.Context) error {
	begin := w.host.Clock.Now()
	for _, sidecars := range []bool{false, true} {
		var all sync.WaitGroup
		var mu sync.Mutex
		var errs []error
		for _, c := range w.containers {
			w.unwatchIf(c, sidecars)
			if !c.running() || (c.kind == sidecar) != sidecars {
				continue
			}
			grace := max(w.graceNow()-w.host.Clock.Since(begin), 0)
			w.note("Killing", "Stopping container "+c.spec.Name)
			all.Go(func() {
				if err := w.kill(ctx, c, grace); err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("stop container %s: %w", c.spec.Name, err))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) unwatchIf(c *container, sidecars bool) {
	if (c.kind == sidecar) == sidecars {
		w.unwatch(c)
	}
}

// remove ends the pod and takes away everything of it.
func (w *Worker) remove(ctx context.Context) error {
	if err := w.end(ctx); err != nil {
		return err
	}
	for _, id := range w.sandboxes {
		if err := w.host.Runtime.RemoveSandbox(ctx, id); err != nil {
			return err
		}
	}
	if w.host.RemoveCgroup != nil {
		if err := w.host.RemoveCgroup(ctx, cgroupParent(w.host.CgroupPrefix, w.pod)); err != nil {
			return err
		}
	}
	if w.host.Dir == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(LogDir(w.host.Dir, w.pod)), os.RemoveAll(filesDir(w.host.Dir, w.uid)))
}
