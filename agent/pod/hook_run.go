package pod

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/probe"
)

const hookTimeout = 2 * time.Minute // of ExecSync; the caller's context may end sooner

// hook runs a lifecycle handler for a container.
func (h *Host) hook(ctx context.Context, id string, target probe.Target, handler *v1.LifecycleHandler) error {
	switch {
	case handler.Exec != nil:
		output, code, err := h.Runtime.ExecSync(ctx, id, handler.Exec.Command, hookTimeout)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("command %q exited with %d: %s", handler.Exec.Command, code, output)
		}
	case handler.HTTPGet != nil && h.Pretended:
	case handler.HTTPGet != nil:
		return probe.Get(ctx, handler.HTTPGet, target)
	case handler.Sleep != nil:
		timer := h.Clock.NewTimer(time.Duration(handler.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C():
		}
	}
	return nil
}

func (w *Worker) target(c *container) probe.Target {
	t := probe.Target{Container: c.spec, Exec: w.exec(c)}
	if ips := w.sandboxIPs(); len(ips) > 0 && !w.pod.Spec.HostNetwork {
		t.PodIP = ips[0]
	} else if len(w.host.HostIPs) > 0 {
		t.PodIP = w.host.HostIPs[0]
	}
	return t
}
