package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// advance takes a pod that shall run as far as it goes now: volumes, sandbox,
// init containers, containers. It says when to look again (0: at an event).
func (w *Worker) advance(ctx, pctx context.Context) (time.Duration, error) {
	if over := w.overDeadline(); over {
		w.final, w.reason, w.message = v1.PodFailed, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
		w.note("DeadlineExceeded", w.message)
		return 0, w.end(ctx)
	}
	if w.isOver() {
		return 0, w.end(ctx)
	}
	if w.sandbox == nil && !w.accepted {
		if no := w.host.refuse(w.pod); no != nil {
			w.final, w.reason, w.message = v1.PodFailed, no.Reason, "Pod was rejected: "+no.Message
			w.note(no.Reason, no.Message)
			return 0, w.end(ctx)
		}
		w.accepted = true
	}
	if wait, ok := w.admit(); !ok {
		if wait > 0 {
			return wait, nil
		}
		return 0, w.end(ctx)
	}
	if !w.admitNode(ctx) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return 0, w.end(ctx)
	}
	if w.started.IsZero() {
		w.started = w.host.Clock.Now()
		w.settleReport()
	}
	if err := w.ready(ctx); err != nil || w.ended {
		return 0, err
	}
	w.clearLeftovers(ctx)
	w.grantResize()
	again := w.actuateResize(ctx)
	wait, err := w.startContainers(ctx, pctx)
	wait = earliest(wait, again)
	if left := w.untilDeadline(); left > 0 {
		wait = earliest(wait, left)
	}
	return wait, err
}

// ready brings up the pod's files, volumes and sandbox.
func (w *Worker) ready(ctx context.Context) error {
	if w.host.Dir != "" && w.volumes == nil {
		for _, dir := range []string{filesDir(w.host.Dir, w.uid), LogDir(w.host.Dir, w.pod)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
	}
	if err := w.mount(ctx); err != nil {
		return err
	}
	if w.sandboxReady() {
		var err error
		if w.config == nil {
			w.config, err = w.host.sandboxConfig(w.pod, w.sandbox.Metadata.Attempt)
		}
		return err
	}
	return w.runSandbox(ctx)
}

// mount makes the volumes ready, and later brings them up to date. Containers
// go on with what they have if that fails.
func (w *Worker) mount(ctx context.Context) error {
	w.mu.Lock()
	stale := w.stale
	w.stale = false
	w.mu.Unlock()
	if w.volumes != nil && !stale {
		return nil
	}
	if w.volumes == nil && len(w.pod.Spec.ResourceClaims) > 0 && !w.host.Pretended {
		const why = "Failed to prepare dynamic resources: this node has no DRA drivers"
		w.note("FailedPrepareDynamicResources", why)
		return fmt.Errorf("%w: %s/%s: %s", events.ErrUnavailable, w.pod.Namespace, w.pod.Name, why)
	}
	volumes, err := w.host.Volumes.Mount(ctx, w.withAddresses())
	switch {
	case err == nil:
		w.volumes = volumes
		return nil
	case w.volumes != nil:
		w.host.Log.Info("volumes stay as they are", "pod", w.pod.Namespace+"/"+w.pod.Name, "err", err)
		return nil
	}
	w.note("FailedMount", strings.ReplaceAll(err.Error(), "\n", "; "))
	return fmt.Errorf("prepare the volumes of %s/%s: %w", w.pod.Namespace, w.pod.Name, err)
}

func (w *Worker) sandboxReady() bool {
	return w.sandbox != nil && w.sandbox.State == cri.PodSandboxState_SANDBOX_READY
}

// runSandbox makes the sandbox anew. What was in an earlier one is stopped.
func (w *Worker) runSandbox(ctx context.Context) error {
	attempt := uint32(0)
	if w.sandbox != nil {
		attempt = w.sandbox.Metadata.Attempt + 1
		w.note(reasonSandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
		if err := w.host.Runtime.StopSandbox(ctx, w.sandbox.Id); err != nil {
			return err
		}
		w.markDirty()
		if _, err := w.observe(ctx); err != nil {
			return err
		}
		if w.isOver() { // what ran in it isn't to run again
			return w.end(ctx)
		}
	}
	config, err := w.host.sandboxConfig(w.pod, attempt)
	if err == nil {
		err = w.nameHandler(ctx, config)
	}
	if err != nil {
		w.note("FailedCreatePodSandBox", fmt.Sprintf("Failed to create pod sandbox: %v", err))
		return err
	}
	id, err := w.host.Runtime.RunSandbox(ctx, config)
	if err != nil {
		w.markDirty()
		w.note("FailedCreatePodSandBox", fmt.Sprintf("Failed to create pod sandbox: %v", err))
		return err
	}
	w.own(id)
	if err := w.setLimits(limitsOf(w.pod)); err != nil {
		w.host.Log.Warn("the limits of a pod's cgroup can't be set", "pod", w.pod.Namespace+"/"+w.pod.Name, "err", err)
	}
	w.config = config
	w.sandboxes = append([]string{id}, w.sandboxes...)
	for _, c := range w.containers {
		c.stale = c.current != nil
	}
	return w.seeSandbox(ctx, id)
}

// admit takes the pod's place on the node. Without one it says how long to wait;
// 0: the pod is refused.
func (w *Worker) admit() (wait time.Duration, ok bool) {
	answer, lack := w.host.Room.take(w.pod, w.sandbox != nil, w.Wake)
	now := w.host.Clock.Now()
	switch {
	case answer == taken:
		w.refused = time.Time{}
		return 0, true
	case answer == later:
		w.refused = time.Time{}
		return resyncEvery, false
	case w.refused.IsZero():
		w.refused = now
	}
	if left := roomWithin - now.Sub(w.refused); left > 0 {
		return left, false
	}
	if answer == unsure { // nobody speaks for what runs beside it: that must not keep it out for ever
		w.host.Room.take(w.pod, true, w.Wake)
		w.refused = time.Time{}
		return 0, true
	}
	w.final, w.reason, w.message = v1.PodFailed, lack.reason, lack.message
	w.note(lack.reason, lack.message)
	return 0, false
}

// isOver reports whether nothing of the pod will be started again.
func (w *Worker) isOver() bool {
	if p := w.previous.Phase; p == v1.PodSucceeded || p == v1.PodFailed {
		return true
	}
	if w.resetting {
		return false
	}
	for _, c := range w.containers {
		if c.kind == initial && c.exited() && !c.succeeded() && !c.restarts(&w.pod.Spec) {
			return true
		}
		if c.restartsAll() {
			return false
		}
	}
	for _, c := range w.containers {
		if c.kind == regular && !c.lost && (!c.exited() || c.restarts(&w.pod.Spec)) {
			return false
		}
	}
	return len(w.containers) > 0
}

func (w *Worker) untilDeadline() time.Duration {
	if w.pod.Spec.ActiveDeadlineSeconds == nil || w.started.IsZero() {
		return 0
	}
	return max(w.started.Add(time.Duration(*w.pod.Spec.ActiveDeadlineSeconds)*time.Second).Sub(w.host.Clock.Now()), time.Millisecond)
}

func (w *Worker) overDeadline() bool {
	d := w.pod.Spec.ActiveDeadlineSeconds
	return d != nil && !w.started.IsZero() && w.host.Clock.Since(w.started) >= time.Duration(*d)*time.Second
}

// clearLeftovers removes attempts that nobody asks for any more.
func (w *Worker) clearLeftovers(ctx context.Context) {
	for _, id := range w.leftovers {
		if err := w.host.Runtime.RemoveContainer(ctx, id); err != nil && !errors.Is(err, context.Canceled) {
			w.host.Log.Debug("an old container stays for now", "id", id, "err", err)
		}
	}
	w.leftovers = nil
}

// withAddresses gives the pod with the addresses that it has now.
func (w *Worker) withAddresses() *v1.Pod {
	pod := *w.pod
	pod.Status = *w.status()
	return &pod
}
