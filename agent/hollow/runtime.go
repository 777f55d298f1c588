package hollow

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

const (
	annotationExitAfter = "hollow.reckon.dev/exit-after"
	annotationExitCode  = "hollow.reckon.dev/exit-code"
	annotationCPU       = "hollow.reckon.dev/cpu"    // that each container uses
	annotationMemory    = "hollow.reckon.dev/memory" // that each container uses
)

// Runtime pretends. It is a runtime.Runtime.
type Runtime struct {
	clock clock.WithTickerAndDelayedExecution
	node  int           // gives the addresses of its pods
	delay time.Duration // that running a sandbox takes

	mu         sync.Mutex
	sandboxes  map[string]*sandbox // by id
	byUID      map[string][]*sandbox
	containers map[string]*container // by id
	listener   func(runtime.Event)
	taken      map[string]bool // addresses of its pods
}

type sandbox struct {
	item       *cri.PodSandbox
	ip         string
	containers []*container
}

type container struct {
	sandbox *sandbox
	item    *cri.Container
	status  *cri.ContainerStatus
	exit    clock.Timer
	uses    uses
}

var _ runtime.Runtime = (*Runtime)(nil)

// NewRuntime makes an empty one. node tells the addresses of different nodes'
// pods apart; delay is how long a pod takes to start.
func NewRuntime(c clock.WithTickerAndDelayedExecution, node int, delay time.Duration) *Runtime {
	return &Runtime{clock: c, node: node, delay: delay, sandboxes: map[string]*sandbox{}, byUID: map[string][]*sandbox{},
		containers: map[string]*container{}, taken: map[string]bool{}}
}

// List implements runtime.Runtime.
func (r *Runtime) List(_ context.Context, uid string) ([]runtime.Sandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []runtime.Sandbox
	add := func(s *sandbox) {
		item := runtime.Sandbox{PodSandbox: s.item}
		for _, c := range s.containers {
			item.Containers = append(item.Containers, c.item)
		}
		out = append(out, item)
	}
	if uid != "" {
		for _, s := range r.byUID[uid] {
			add(s)
		}
		return out, nil
	}
	for _, s := range r.sandboxes {
		add(s)
	}
	return out, nil
}

// SandboxStatus implements runtime.Runtime.
func (r *Runtime) SandboxStatus(_ context.Context, id string) (*cri.PodSandboxStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sandboxes[id]
	if !ok {
		return nil, fmt.Errorf("sandbox %s: %w", id, events.ErrNotFound)
	}
	return &cri.PodSandboxStatus{Id: id, Metadata: s.item.Metadata, State: s.item.State, CreatedAt: s.item.CreatedAt,
		Network: &cri.PodSandboxNetworkStatus{Ip: s.ip}, Labels: s.item.Labels}, nil
}

// RunSandbox implements runtime.Runtime.
func (r *Runtime) RunSandbox(ctx context.Context, config *cri.PodSandboxConfig) (string, error) {
	if r.delay > 0 {
		timer := r.clock.NewTimer(r.delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-timer.C():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := config.Metadata.Uid
	ip := r.address(uid)
	s := &sandbox{
		item: &cri.PodSandbox{Id: r.id("sandbox", uid, "", config.Metadata.Attempt), Metadata: config.Metadata, State: cri.PodSandboxState_SANDBOX_READY,
			CreatedAt: r.clock.Now().UnixNano(), Labels: map[string]string{runtime.LabelPodUID: uid}, Annotations: config.Annotations},
		ip: ip,
	}
	r.sandboxes[s.item.Id], r.taken[ip] = s, true
	r.byUID[uid] = append(r.byUID[uid], s)
	return s.item.Id, nil
}

// StopSandbox implements runtime.Runtime.
func (r *Runtime) StopSandbox(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.sandboxes[id]; ok {
		for _, c := range s.containers {
			r.end(c, 137)
		}
		item := cri.PodSandbox{Id: s.item.Id, Metadata: s.item.Metadata, State: cri.PodSandboxState_SANDBOX_NOTREADY,
			CreatedAt: s.item.CreatedAt, Labels: s.item.Labels, Annotations: s.item.Annotations}
		s.item = &item
	}
	return nil
}

// RemoveSandbox implements runtime.Runtime.
func (r *Runtime) RemoveSandbox(ctx context.Context, id string) error {
	if err := r.StopSandbox(ctx, id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sandboxes[id]
	if !ok {
		return nil
	}
	for _, c := range s.containers {
		delete(r.containers, c.item.Id)
	}
	delete(r.sandboxes, id)
	delete(r.taken, s.ip)
	delete(r.byUID, s.item.Metadata.Uid)
	return nil
}

// Events implements runtime.Runtime.
func (r *Runtime) Events(ctx context.Context, f func(runtime.Event)) error {
	r.mu.Lock()
	r.listener = f
	r.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// Status implements runtime.Runtime.
func (r *Runtime) Status(context.Context) (runtime.Status, error) {
	return runtime.Status{Name: "hollow", Version: "1", RuntimeReady: true, NetworkReady: true}, nil
}

// ImageStatus implements runtime.Images: every image is there, but for those of
// registries that there can't be.
func (r *Runtime) ImageStatus(_ context.Context, ref string) (*cri.Image, error) {
	if invalid(ref) {
		return nil, nil
	}
	return &cri.Image{Id: ref, RepoTags: []string{ref}}, nil
}

// PullImage implements runtime.Images.
func (r *Runtime) PullImage(_ context.Context, ref string, _ *cri.AuthConfig, _ *cri.PodSandboxConfig) error {
	if invalid(ref) {
		return fmt.Errorf("failed to pull image %q: no such host", ref)
	}
	return nil
}

// invalid reports whether an image's registry is below .invalid, which no name
// ever is (RFC 2606).
func invalid(ref string) bool {
	host, _, _ := strings.Cut(ref, "/")
	return strings.HasSuffix(host, ".invalid")
}

// ListImages implements runtime.Images.
func (r *Runtime) ListImages(context.Context) ([]*cri.Image, error) { return nil, nil }

// RemoveImage implements runtime.Images.
func (r *Runtime) RemoveImage(context.Context, string) error { return nil }

// Exec implements runtime.Streams: there is nobody to talk to.
func (r *Runtime) Exec(context.Context, *cri.ExecRequest) (*url.URL, error) { return nil, errPretended }

// Attach implements runtime.Streams.
func (r *Runtime) Attach(context.Context, *cri.AttachRequest) (*url.URL, error) {
	return nil, errPretended
}

// PortForward implements runtime.Streams.
func (r *Runtime) PortForward(context.Context, *cri.PortForwardRequest) (*url.URL, error) {
	return nil, errPretended
}

var errPretended = fmt.Errorf("%w: this container is only pretended", events.ErrInvalid)
