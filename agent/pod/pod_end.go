package pod

import (
	"context"
	"errors"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// grace is how long a container may take to stop.
func (w *Worker) grace() time.Duration {
	return w.graceNow()
}

func seconds64(n int64) time.Duration { return time.Duration(n) * time.Second }

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
