package pod

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/probe"
)

const hookTimeout = 2 * time.Minute // of ExecSync; the caller's context may end sooner

// hook runs a lifecycle handler.
func (w *Worker) hook(ctx context.Context, c *container, h *v1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		output, code, err := w.host.Runtime.ExecSync(ctx, c.current.Id, h.Exec.Command, hookTimeout)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("command %q exited with %d: %s", h.Exec.Command, code, output)
		}
	case h.HTTPGet != nil && w.host.Pretended:
	case h.HTTPGet != nil:
		return probe.Get(ctx, h.HTTPGet, w.target(c))
	case h.Sleep != nil:
		timer := w.host.Clock.NewTimer(time.Duration(h.Sleep.Seconds) * time.Second)
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
