package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// startContainers starts what shall run and doesn't: ephemeral containers at any time, the
// others in the order of the spec: an init container must have ended (a
// sidecar: be started) before what comes after it.
func (w *Worker) startContainers(ctx, pctx context.Context) (time.Duration, error) {
	next, err := w.restartAll(ctx)
	if err != nil || next > 0 {
		return next, err
	}
	for _, c := range w.containers {
		if c.kind != ephemeral {
			continue
		}
		wait, err := w.keep(ctx, pctx, c)
		if err != nil {
			return next, err
		}
		next = earliest(next, wait)
	}
	initialized := initializedNow(w.containers, "")
	for _, c := range w.containers {
		if c.kind == ephemeral || c.kind == initial && initialized {
			continue // done before
		}
		wait, err := w.keep(ctx, pctx, c)
		if err != nil {
			return next, err
		}
		next = earliest(next, wait)
		switch {
		case c.kind == initial && !c.done(), c.kind == sidecar && !initialized && (!c.running() || !c.started):
			return next, nil
		}
	}
	return next, nil
}

// keep sees to it that one container runs, if it shall, and that its probes do.
func (w *Worker) keep(ctx, pctx context.Context, c *container) (time.Duration, error) {
	if c.running() {
		c.waiting = nil
		d := c.doom
		if old := c.current.Annotations[annotationImage]; d == nil && old != "" && old != c.spec.Image && c.kind != initial {
			d = &doom{message: fmt.Sprintf("Container %s definition changed, will be restarted", c.spec.Name), again: true}
		}
		if d == nil {
			w.watchContainer(pctx, c)
			return 0, nil
		}
		w.unwatch(c)
		if err := w.kill(ctx, c, *d); err != nil {
			return 0, err
		}
		if c.running() {
			return retryAfter, nil // it is about to end
		}
	}
	if c.exited() {
		w.unwatch(c)
		if c.done() || !c.restarts(&w.pod.Spec) {
			c.waiting = nil
			return 0, nil
		}
		if wait := w.backOff(c); wait > 0 {
			return wait, nil
		}
	}
	if c.current == nil && c.inherit > 0 && !c.restartsLost(&w.pod.Spec) {
		c.lost = true
		return 0, nil
	}
	why := w.start(ctx, pctx, c)
	if why == nil {
		return 0, nil
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if c.waiting == nil || c.waiting.reason != why.reason || c.waiting.message != why.message {
		if why.event != "" {
			w.note(why.event, why.message)
		}
	}
	c.waiting = why
	if why.retry == 0 {
		return firstDelay, nil
	}
	return why.retry, nil
}

// backOff says how long an exited container that is to start again has to wait.
func (w *Worker) backOff(c *container) time.Duration {
	wait := c.backoff.wait(nanos(c.current.StartedAt), nanos(c.current.FinishedAt), w.host.Clock.Now())
	if wait > 0 && (c.waiting == nil || c.waiting.reason != reasonCrashLoop) {
		message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", c.backoff.delay, c.spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID)
		c.waiting = &waitError{reason: reasonCrashLoop, message: message}
		w.note("BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", c.spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID))
	}
	return wait
}

// start makes and starts the container's next attempt.
func (w *Worker) start(ctx, pctx context.Context, c *container) *waitError {
	image, wait := w.ensureImage(ctx, w.pod, c.spec, w.config)
	if wait != nil {
		return wait
	}
	pod := w.withAddresses()
	target, wait := w.targetOf(c)
	if wait != nil {
		return wait
	}
	images, wait := w.ensureVolumeImages(ctx, c.spec)
	if wait != nil {
		return wait
	}
	in := containerInput{images: images, pod: pod, spec: c.spec, target: target, image: image, attempt: c.nextAttempt(), volumes: w.volumes}
	if w.host.Dir != "" {
		path, err := w.host.writeHosts(w.pod, w.sandboxIPs())
		if err != nil {
			return &waitError{reason: reasonCreateError, message: err.Error(), event: "Failed", retry: retryAfter}
		}
		in.hosts = path
	}
	config, err := w.host.containerConfig(in)
	if err != nil {
		return &waitError{reason: reasonConfigError, message: message(err), event: "Failed", retry: retryAfter}
	}
	if err := w.host.equip(ctx, w.pod, c.spec, config); err != nil {
		return &waitError{reason: reasonConfigError, message: message(err), event: "Failed", retry: retryAfter}
	}
	id, err := w.host.Runtime.CreateContainer(ctx, w.sandbox.Id, config, w.config)
	if err != nil {
		w.markDirty()
		return &waitError{reason: reasonCreateError, message: message(err), event: "Failed", retry: retryAfter}
	}
	w.own(id)
	w.note("Created", "Container created: "+c.spec.Name)
	old := c.current
	if old != nil {
		c.backoff.next(nanos(old.StartedAt), nanos(old.FinishedAt))
		if c.last != nil {
			w.leftovers = append(w.leftovers, c.last.Id)
		}
	}
	if err := w.host.Runtime.StartContainer(ctx, id); err != nil {
		w.markDirty()
		return &waitError{reason: reasonRunError, message: message(err), event: "Failed", retry: retryAfter}
	}
	status, err := w.host.Runtime.ContainerStatus(ctx, id)
	if err != nil {
		w.markDirty()
		return &waitError{reason: reasonRunError, message: message(err), event: "Failed", retry: retryAfter}
	}
	c.current, c.last, c.waiting, c.failure = status, old, nil, ""
	c.stale, c.again, c.reset, c.doom = false, false, false, nil
	c.given = &v1.ResourceRequirements{Requests: c.spec.Resources.Requests, Limits: c.spec.Resources.Limits}
	w.note("Started", "Container started: "+c.spec.Name)
	return w.afterStart(ctx, pctx, c)
}

// afterStart runs the postStart hook and begins to probe.
func (w *Worker) afterStart(ctx, pctx context.Context, c *container) *waitError {
	c.started, c.ready = c.spec.StartupProbe == nil, c.spec.StartupProbe == nil && c.spec.ReadinessProbe == nil
	if l := c.spec.Lifecycle; l != nil && l.PostStart != nil {
		if err := w.host.hook(ctx, c.current.Id, w.target(c), l.PostStart); err != nil && ctx.Err() == nil {
			w.host.Log.Info("a postStart hook failed", "container", c.spec.Name, "err", err)
			w.note("FailedPostStartHook", "PostStartHook failed")
			if err := w.kill(ctx, c, doom{message: "FailedPostStartHook"}); err != nil {
				return &waitError{reason: reasonPostStart, message: message(err), retry: retryAfter}
			}
			c.failure = "PostStartHook failed"
			return nil
		}
	}
	w.watchContainer(pctx, c)
	return nil
}

// targetOf gives the id of the container whose processes an ephemeral one shares.
func (w *Worker) targetOf(c *container) (string, *waitError) {
	if c.target == "" {
		return "", nil
	}
	for _, other := range w.containers {
		if other.spec.Name == c.target && other.running() {
			return other.current.Id, nil
		}
	}
	return "", &waitError{reason: reasonRunError, message: fmt.Sprintf("unable to find target container %s", c.target), event: "Failed", retry: retryAfter}
}

func (w *Worker) sandboxIPs() []string {
	network := w.sandbox.GetNetwork()
	if network == nil || network.Ip == "" {
		return nil
	}
	out := []string{network.Ip}
	for _, ip := range network.AdditionalIps {
		out = append(out, ip.Ip)
	}
	return out
}

func (w *Worker) exec(c *container) func(context.Context, []string, time.Duration) ([]byte, int, error) {
	id := c.current.Id
	return func(ctx context.Context, command []string, timeout time.Duration) ([]byte, int, error) {
		return w.host.Runtime.ExecSync(ctx, id, command, timeout)
	}
}

// message is an error's text without the class that it wraps.
func message(err error) string {
	for _, class := range []error{events.ErrNotFound, events.ErrInvalid, events.ErrExists} {
		if errors.Is(err, class) {
			return trimClass(err.Error(), class.Error())
		}
	}
	return err.Error()
}

func trimClass(text, class string) string {
	if t, ok := strings.CutSuffix(text, ": "+class); ok {
		return t
	}
	return strings.TrimPrefix(text, class+": ")
}
