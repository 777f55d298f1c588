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
	watched string                       // the id of the container that the probes watch
	inherit int32                        // restarts that an earlier life of the agent counted
	lost    bool                         // it ran once, the runtime forgot it, and it isn't to run again
	again   bool                         // the agent stopped it in order to start it again
	doom    *doom                        // why it has to be stopped
	hooked  string                       // the id of the attempt whose preStop hook ran
	stale   bool                         // current belongs to a sandbox that was replaced
	reset   bool                         // removed because all containers restart
	ended   *v1.ContainerStateTerminated // how the attempt ended that was removed then
	given   *v1.ResourceRequirements     // what the running attempt may use; nil: not known yet
	target  string                       // of an ephemeral container: whose processes it sees
}

// doom is why a running container has to be stopped.
type doom struct {
	message string
	grace   *int64 // nil: the pod's
	again   bool   // it starts again whatever its policy says of its exit code
}

type kind int

const (
	regular   kind = iota
	initial        // runs to its end before the next begins
	sidecar        // an init container that goes on
	ephemeral      // added to look at the others; runs once
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

// done reports whether an init container needs no further run in this sandbox.
func (c *container) done() bool { return c.kind == initial && c.succeeded() && !c.stale }

// nextAttempt is the number of the next start. Numbers go on from what was
// reported when the runtime has forgotten the container.
func (c *container) nextAttempt() uint32 {
	if c.current != nil {
		return c.current.Metadata.Attempt + 1
	}
	return uint32(c.inherit)
}

func nanos(n int64) time.Time {
	if n <= 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
