package runtime

import (
	"context"
	"net/url"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Runtime runs containers in sandboxes.
type Runtime interface {
	// List gives the sandboxes of one pod (all pods: uid "") with their containers.
	List(ctx context.Context, uid string) ([]Sandbox, error)
	// SandboxStatus gives a sandbox's state and addresses.
	SandboxStatus(ctx context.Context, id string) (*cri.PodSandboxStatus, error)
	RunSandbox(ctx context.Context, config *cri.PodSandboxConfig) (id string, err error)
	// StopSandbox kills what still runs in it and releases its network.
	StopSandbox(ctx context.Context, id string) error
	RemoveSandbox(ctx context.Context, id string) error

	CreateContainer(ctx context.Context, sandbox string, c *cri.ContainerConfig, s *cri.PodSandboxConfig) (id string, err error)
	StartContainer(ctx context.Context, id string) error
	// StopContainer sends the stop signal, and SIGKILL after grace.
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	RemoveContainer(ctx context.Context, id string) error
	ContainerStatus(ctx context.Context, id string) (*cri.ContainerStatus, error)
	// UpdateResources changes what a container that runs may use; fields that are 0 stay as they are.
	UpdateResources(ctx context.Context, id string, r *cri.LinuxContainerResources) error
	// ReopenLog makes the container write to its log path anew (after a rotation).
	ReopenLog(ctx context.Context, id string) error
	// ExecSync runs a command in a container. A timeout is an error of context.DeadlineExceeded's class.
	ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) (output []byte, exitCode int, err error)

	// Events calls f for every change seen until ctx is done or the connection is lost.
	Events(ctx context.Context, f func(Event)) error
	// Status gives the runtime's conditions (RuntimeReady, NetworkReady), name and version.
	Status(ctx context.Context) (Status, error)

	Images
	Streams
	// Stats gives the use of all of this agent's containers.
	Stats(ctx context.Context) ([]*cri.ContainerStats, error)
}

// Images is the runtime's image store.
type Images interface {
	// ImageStatus gives nil when the image isn't there.
	ImageStatus(ctx context.Context, ref string) (*cri.Image, error)
	PullImage(ctx context.Context, ref string, auth *cri.AuthConfig, s *cri.PodSandboxConfig) error
	ListImages(ctx context.Context) ([]*cri.Image, error)
	RemoveImage(ctx context.Context, id string) error
}

// Streams gives the addresses where interactive sessions are served.
type Streams interface {
	Exec(ctx context.Context, r *cri.ExecRequest) (*url.URL, error)
	Attach(ctx context.Context, r *cri.AttachRequest) (*url.URL, error)
	PortForward(ctx context.Context, r *cri.PortForwardRequest) (*url.URL, error)
}

// Sandbox is a pod's sandbox with the containers in it.
type Sandbox struct {
	*cri.PodSandbox
	Containers []*cri.Container
}

// Event says that something happened to a container or sandbox: look again.
type Event struct {
	ID  string // of the container or sandbox
	OOM bool   // the kernel killed a process of it
}

// Status is the runtime as a whole.
type Status struct {
	Name, Version string
	RuntimeReady  bool
	NetworkReady  bool
	Message       string
}

// AnnotationHandler is on the configuration of a sandbox that a handler other than the usual one
// shall run (a RuntimeClass names it).
const AnnotationHandler = "reckon.dev/runtime-handler"

// The labels on sandboxes and containers, as the kubelet writes them.
const (
	LabelPodName       = "io.kubernetes.pod.name"
	LabelPodNamespace  = "io.kubernetes.pod.namespace"
	LabelPodUID        = "io.kubernetes.pod.uid"
	LabelContainerName = "io.kubernetes.container.name"
)
