package pod

import (
	"context"
	"maps"
	"slices"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
)

// observe looks at the runtime if something happened there. It asks to be
// called again soon while an exit that was told isn't seen yet.
func (w *Worker) observe(ctx context.Context) (time.Duration, error) {
	w.mu.Lock()
	dirty, ooms := w.dirty, maps.Clone(w.ooms)
	w.dirty = false
	w.mu.Unlock()
	if !dirty {
		return 0, nil
	}
	w.seen = w.host.Clock.Now()
	sandboxes, err := w.host.Runtime.List(ctx, w.uid)
	if err != nil {
		w.markDirty()
		return 0, err
	}
	if err := w.take(ctx, sandboxes, ooms); err != nil {
		w.markDirty()
		return 0, err
	}
	return w.awaitExits(), nil
}

// awaitExits asks for another look while something that ended is still shown
// as running: containerd's events are ahead of CRI.
func (w *Worker) awaitExits() time.Duration {
	running := map[string]bool{}
	for _, c := range w.containers {
		if c.running() {
			running[c.current.Id] = true
		}
	}
	if w.sandboxReady() {
		running[w.sandbox.Id] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, looks := range w.exits {
		if !running[id] || looks >= mostLooks {
			delete(w.exits, id)
			continue
		}
		w.exits[id]++
		w.dirty = true
	}
	if len(w.exits) > 0 {
		return lookAgain
	}
	return 0
}

// take derives the worker's state from what the runtime has.
func (w *Worker) take(ctx context.Context, sandboxes []runtime.Sandbox, ooms map[string]bool) error {
	slices.SortFunc(sandboxes, func(a, b runtime.Sandbox) int { return int(b.Metadata.Attempt) - int(a.Metadata.Attempt) })
	w.sandboxes, w.leftovers = nil, nil
	byName := map[string][]*cri.Container{}
	for _, s := range sandboxes {
		w.sandboxes = append(w.sandboxes, s.Id)
		w.own(s.Id)
		for _, c := range s.Containers {
			w.own(c.Id)
			byName[c.Metadata.Name] = append(byName[c.Metadata.Name], c)
		}
	}
	if len(sandboxes) == 0 {
		w.sandbox = nil
	} else if err := w.seeSandbox(ctx, sandboxes[0].Id); err != nil {
		return err
	}
	for _, c := range w.containers {
		attempts := byName[c.spec.Name]
		if err := w.see(ctx, c, attempts, ooms); err != nil {
			return err
		}
		c.stale = len(attempts) > 0 && w.sandbox != nil && attempts[0].PodSandboxId != w.sandbox.Id
		delete(byName, c.spec.Name)
	}
	for _, list := range byName { // such as an older spec had
		for _, c := range list {
			w.leftovers = append(w.leftovers, c.Id)
		}
	}
	return nil
}

func (w *Worker) seeSandbox(ctx context.Context, id string) error {
	s, err := w.host.Runtime.SandboxStatus(ctx, id)
	if err != nil {
		return err
	}
	w.sandbox = s
	if started := nanos(s.CreatedAt); w.started.IsZero() || started.Before(w.started) {
		if w.previous.StartTime != nil && !w.previous.StartTime.IsZero() {
			started = w.previous.StartTime.Time
		}
		w.started = started
	}
	return nil
}

// see takes in one container's attempts, the newest first.
func (w *Worker) see(ctx context.Context, c *container, attempts []*cri.Container, ooms map[string]bool) error {
	slices.SortFunc(attempts, func(a, b *cri.Container) int { return int(b.Metadata.Attempt) - int(a.Metadata.Attempt) })
	if len(attempts) == 0 {
		c.current, c.last = nil, nil
		return nil
	}
	fresh, err := w.statusOf(ctx, attempts[0].Id, c.current, ooms)
	if err != nil {
		return err
	}
	if c.current == nil || c.current.Id != fresh.Id {
		c.failure = ""
	}
	c.current = fresh
	c.last = lastOf(c)
	if len(attempts) > 1 && (c.last == nil || c.last.Id != attempts[1].Id) {
		if c.last, err = w.statusOf(ctx, attempts[1].Id, nil, ooms); err != nil {
			return err
		}
	}
	for _, old := range attempts[min(2, len(attempts)):] {
		w.leftovers = append(w.leftovers, old.Id)
	}
	return nil
}

func lastOf(c *container) *cri.ContainerStatus {
	if c.last != nil && c.last.Id != c.current.Id {
		return c.last
	}
	return nil
}

// statusOf asks for a container's status unless what is known is final.
func (w *Worker) statusOf(ctx context.Context, id string, known *cri.ContainerStatus, ooms map[string]bool) (*cri.ContainerStatus, error) {
	if known != nil && known.Id == id && known.State == cri.ContainerState_CONTAINER_EXITED {
		return known, nil
	}
	s, err := w.host.Runtime.ContainerStatus(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.State == cri.ContainerState_CONTAINER_EXITED && s.Reason != "OOMKilled" && s.ExitCode == 137 && ooms[id] {
		s.Reason = "OOMKilled"
	}
	return s, nil
}
