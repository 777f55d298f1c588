package hollow

import (
	"context"
	"fmt"
	"strconv"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// CreateContainer implements runtime.Runtime.
func (r *Runtime) CreateContainer(_ context.Context, id string, config *cri.ContainerConfig, _ *cri.PodSandboxConfig) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sandboxes[id]
	if !ok {
		return "", fmt.Errorf("sandbox %s: %w", id, events.ErrNotFound)
	}
	used, err := usesOf(s.item.Annotations, config.Linux.GetResources())
	if err != nil {
		return "", err
	}
	c := &container{sandbox: s, uses: used}
	c.item = &cri.Container{Id: r.id("container", s.item.Metadata.Uid, config.Metadata.Name, config.Metadata.Attempt), PodSandboxId: id, Metadata: config.Metadata, Image: config.Image, Labels: config.Labels}
	c.status = &cri.ContainerStatus{Id: c.item.Id, Metadata: config.Metadata, State: cri.ContainerState_CONTAINER_CREATED,
		CreatedAt: r.clock.Now().UnixNano(), Image: config.Image, ImageRef: config.Image.Image, Annotations: config.Annotations}
	s.containers = append(s.containers, c)
	r.containers[c.item.Id] = c
	return c.item.Id, nil
}

// StartContainer implements runtime.Runtime.
func (r *Runtime) StartContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.containers[id]
	if !ok {
		return fmt.Errorf("container %s: %w", id, events.ErrNotFound)
	}
	r.change(c, func(s *cri.ContainerStatus) {
		s.State, s.StartedAt = cri.ContainerState_CONTAINER_RUNNING, r.clock.Now().UnixNano()
	})
	text := c.annotation(annotationExitAfter)
	if text == "" {
		return nil
	}
	after, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%w: annotation %s: %v", events.ErrInvalid, annotationExitAfter, err)
	}
	code := 0
	if text := c.annotation(annotationExitCode); text != "" {
		if code, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%w: annotation %s: %v", events.ErrInvalid, annotationExitCode, err)
		}
	}
	c.exit = r.clock.AfterFunc(after, func() {
		r.mu.Lock()
		r.end(c, int32(code))
		tell := r.listener
		r.mu.Unlock()
		if tell != nil {
			tell(runtime.Event{ID: id})
		}
	})
	return nil
}

// annotation is what the pod says of this container, or else of all.
func (c *container) annotation(key string) string {
	all := c.sandbox.item.Annotations
	if text, ok := all[key+"."+c.status.Metadata.Name]; ok {
		return text
	}
	return all[key]
}

// change replaces a container's status: readers keep the one they have.
func (r *Runtime) change(c *container, f func(*cri.ContainerStatus)) {
	old := c.status
	next := &cri.ContainerStatus{Id: old.Id, Metadata: old.Metadata, State: old.State, CreatedAt: old.CreatedAt, StartedAt: old.StartedAt,
		FinishedAt: old.FinishedAt, ExitCode: old.ExitCode, Image: old.Image, ImageRef: old.ImageRef, Annotations: old.Annotations, Reason: old.Reason, Resources: old.Resources}
	f(next)
	c.status = next
}

func (r *Runtime) end(c *container, code int32) {
	if c.exit != nil {
		c.exit.Stop()
	}
	if c.status.State != cri.ContainerState_CONTAINER_RUNNING {
		return
	}
	r.change(c, func(s *cri.ContainerStatus) {
		s.State, s.ExitCode, s.FinishedAt = cri.ContainerState_CONTAINER_EXITED, code, r.clock.Now().UnixNano()
	})
}

// StopContainer implements runtime.Runtime: a pretended container ends well at once.
func (r *Runtime) StopContainer(_ context.Context, id string, _ time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.containers[id]; ok {
		r.end(c, 0)
	}
	return nil
}

// RemoveContainer implements runtime.Runtime.
func (r *Runtime) RemoveContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.containers[id]
	if !ok {
		return nil
	}
	r.end(c, 137)
	delete(r.containers, id)
	for i, have := range c.sandbox.containers {
		if have == c {
			c.sandbox.containers = append(c.sandbox.containers[:i:i], c.sandbox.containers[i+1:]...)
			break
		}
	}
	return nil
}

// ContainerStatus implements runtime.Runtime.
func (r *Runtime) ContainerStatus(_ context.Context, id string) (*cri.ContainerStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.containers[id]
	if !ok {
		return nil, fmt.Errorf("container %s: %w", id, events.ErrNotFound)
	}
	return c.status, nil
}

// ReopenLog implements runtime.Runtime.
func (r *Runtime) ReopenLog(context.Context, string) error { return nil }

// ExecSync implements runtime.Runtime: every command succeeds.
func (r *Runtime) ExecSync(context.Context, string, []string, time.Duration) ([]byte, int, error) {
	return nil, 0, nil
}
