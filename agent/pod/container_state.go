package pod

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// container is what the worker knows of one container of its pod.
//
//	(none) ──create,start──► running ──exit──► exited ──back-off──► running (attempt+1)
//	   │                        ▲                 │
//	   └──waiting: image, config┘                 └──policy says no──► done
type container struct {
	spec *v1.Container
	kind kind

	current *cri.ContainerStatus // the newest attempt; nil: none was made
	last    *cri.ContainerStatus // the one before it
	waiting *waitError           // why there is no running one
	backoff backoff
	failure string // why the agent killed the current attempt; its message in the status
	started bool   // the startup probe succeeded, or there is none
	ready   bool   // the readiness probe succeeded, or there is none
	watch   context.CancelFunc
	watched string // the id of the container that the probes watch
	inherit int32  // restarts that an earlier life of the agent counted
	lost    bool   // it ran once, the runtime forgot it, and it isn't to run again
}

type kind int

const (
	regular kind = iota
	initial      // runs to its end before the next begins
	sidecar      // an init container that goes on
)

func kindOf(c *v1.Container, init bool) kind {
	switch {
	case !init:
		return regular
	case c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways:
		return sidecar
	}
	return initial
}

func (c *container) running() bool {
	return c.current != nil && c.current.State == cri.ContainerState_CONTAINER_RUNNING
}

func (c *container) exited() bool {
	return c.current != nil && c.current.State == cri.ContainerState_CONTAINER_EXITED
}

func (c *container) succeeded() bool { return c.exited() && c.current.ExitCode == 0 }

// nextAttempt is the number of the next start. Numbers go on from what was
// reported when the runtime has forgotten the container.
func (c *container) nextAttempt() uint32 {
	if c.current != nil {
		return c.current.Metadata.Attempt + 1
	}
	return uint32(c.inherit)
}

// restarts reports whether an exited container is to be started again.
func (c *container) restarts(pod *v1.PodSpec) bool {
	policy := pod.RestartPolicy
	if c.kind == sidecar {
		return true
	}
	if c.spec.RestartPolicy != nil {
		policy = v1.RestartPolicy(*c.spec.RestartPolicy)
	}
	switch policy {
	case v1.RestartPolicyNever:
		return false
	case v1.RestartPolicyOnFailure:
		return !c.succeeded()
	}
	return c.kind == regular || !c.succeeded()
}

// restartsLost reports whether a container of which the runtime knows nothing any
// more, so that nobody knows how it ended, is to be started again.
func (c *container) restartsLost(pod *v1.PodSpec) bool {
	return c.kind != regular || pod.RestartPolicy != v1.RestartPolicyNever
}

func nanos(n int64) time.Time {
	if n <= 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
