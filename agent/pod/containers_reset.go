package pod

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
)

const reasonRestartingAll = "RestartingAllContainers"

// resetting reports whether a pod's status says that all its containers restart.
func resetting(s *v1.PodStatus) bool { return hasTrue(s.Conditions, v1.AllContainersRestarting) }

// restartAll removes all containers, so that the pod begins anew in its sandbox, if a rule
// of one that ended says so. Those that ended by the rule go last: until then a
// restarted agent sees that there is something to do.
func (w *Worker) restartAll(ctx context.Context) (time.Duration, error) {
	var sources []*container
	for _, c := range w.containers {
		if c.restartsAll() {
			sources = append(sources, c)
		}
	}
	if len(sources) == 0 && !w.resetting {
		return 0, nil
	}
	if !w.resetting {
		for _, c := range sources {
			started, finished := nanos(c.current.StartedAt), nanos(c.current.FinishedAt)
			if wait := w.backOff(c); wait > 0 {
				return wait, nil
			}
			c.backoff.next(started, finished)
		}
		w.resetting = true
		w.report()
	}
	var stops []*stop
	for _, c := range w.containers {
		if c.running() && c.kind != ephemeral {
			stops = append(stops, w.newStop(c, 0))
		}
	}
	if err := w.stopAll(ctx, stops); err != nil {
		return 0, err
	}
	for _, last := range []bool{false, true} {
		for _, c := range w.containers {
			if c.kind != ephemeral && c.current != nil && c.restartsAll() == last {
				if err := w.forget(ctx, c); err != nil {
					return 0, err
				}
			}
		}
	}
	w.resetting = false
	return 0, nil
}

// forget removes a container's attempts; their number and how the newest ended stay.
func (w *Worker) forget(ctx context.Context, c *container) error {
	for _, s := range []string{lastID(c), c.current.Id} {
		if s == "" {
			continue
		}
		if err := w.host.Runtime.RemoveContainer(ctx, s); err != nil {
			w.markDirty()
			return err
		}
	}
	state := terminated(w.known(), c, c.current, "")
	if !c.restartsAll() {
		state.Terminated.Reason = reasonRestartingAll
	}
	c.ended, c.inherit, c.reset = state.Terminated, int32(c.nextAttempt()), true
	c.current, c.last, c.waiting, c.doom = nil, nil, nil, nil
	return nil
}

func lastID(c *container) string {
	if c.last == nil {
		return ""
	}
	return c.last.Id
}
