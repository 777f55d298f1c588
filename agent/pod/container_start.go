package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
)

// startContainers starts what shall run and doesn't, in the order of the spec:
// an init container must have ended (a sidecar: be started) before what comes
// after it.
func (w *Worker) startContainers(ctx, pctx context.Context) (time.Duration, error) {
	var next time.Duration
	initialized := initializedNow(w.containers, "")
	for _, c := range w.containers {
		if c.kind == initial && initialized {
			continue // done in an earlier sandbox or start
		}
		wait, err := w.keep(ctx, pctx, c)
		if err != nil {
			return next, err
		}
		next = earliest(next, wait)
		switch {
		case c.kind == initial && !c.succeeded(), c.kind == sidecar && (!c.running() || !c.started):
			return next, nil
		}
	}
	return next, nil
}

// keep sees to it that one container runs, if it shall, and that its probes do.
func (w *Worker) keep(ctx, pctx context.Context, c *container) (time.Duration, error) {
	switch {
	case c.running():
		c.waiting = nil
		if old := c.current.Annotations[annotationImage]; old != "" && old != c.spec.Image {
			w.note("Killing", fmt.Sprintf("Container %s definition changed, will be restarted", c.spec.Name))
			return retryAfter, w.kill(ctx, c, w.grace())
		}
		w.watchContainer(pctx, c)
		return 0, nil
	case c.exited():
		w.unwatch(c)
		if c.kind == initial && c.succeeded() || !c.restarts(&w.pod.Spec) {
			c.waiting = nil
			return 0, nil
		}
		started, finished := nanos(c.current.StartedAt), nanos(c.current.FinishedAt)
		if wait := c.backoff.wait(started, finished, w.host.Clock.Now()); wait > 0 {
			if c.waiting == nil || c.waiting.reason != reasonCrashLoop {
				message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", c.backoff.delay, c.spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID)
				c.waiting = &waitError{reason: reasonCrashLoop, message: message}
				w.note("BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", c.spec.Name, w.pod.Name, w.pod.Namespace, w.pod.UID))
			}
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

// start makes and starts the container's next attempt.
func (w *Worker) start(ctx, pctx context.Context, c *container) *waitError {
	image, wait := w.ensureImage(ctx, w.pod, c.spec, w.config)
	if wait != nil {
		return wait
	}
	pod := w.withAddresses()
	in := containerInput{pod: pod, spec: c.spec, image: image, attempt: c.nextAttempt(), volumes: w.volumes}
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
	w.note("Started", "Container started: "+c.spec.Name)
	return w.afterStart(ctx, pctx, c)
}

// afterStart runs the postStart hook and begins to probe.
func (w *Worker) afterStart(ctx, pctx context.Context, c *container) *waitError {
	c.started, c.ready = c.spec.StartupProbe == nil, c.spec.StartupProbe == nil && c.spec.ReadinessProbe == nil
	if l := c.spec.Lifecycle; l != nil && l.PostStart != nil {
		if err := w.hook(ctx, c, l.PostStart); err != nil && ctx.Err() == nil {
			c.failure = "PostStartHook failed: " + err.Error()
			w.note("FailedPostStartHook", c.failure)
			if err := w.kill(ctx, c, w.grace()); err != nil {
				return &waitError{reason: reasonPostStart, message: message(err), retry: retryAfter}
			}
			return nil
		}
	}
	w.watchContainer(pctx, c)
	return nil
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
