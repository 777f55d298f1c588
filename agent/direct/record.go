package direct

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// What is on containerd's records beside the pod's own labels.
const (
	labelKind     = "reckon.dev/kind"     // sandbox, container
	labelFolder   = "reckon.dev/folder"   // Options.Dir: several nodes may share a containerd
	labelReady    = "reckon.dev/ready"    // of a sandbox: "true" until it is stopped
	labelStarted  = "reckon.dev/started"  // nanoseconds
	labelFinished = "reckon.dev/finished" // nanoseconds
	labelCode     = "reckon.dev/exit-code"
	labelReason   = "reckon.dev/reason"
	labelMessage  = "reckon.dev/message"

	kindSandbox   = "sandbox"
	kindContainer = "container"

	extension      = "reckon.dev/record"
	longestMessage = 2000 // a label has 4096 bytes
)

// record is a copy of one of containerd's.
//
//	sandbox:    ready ──stop, or the pause process ends──► not ready
//	container:  created ──start──► running ──exit──► exited
type record struct {
	id      string
	mu      sync.Mutex // held by whoever changes it in containerd
	state   sync.Mutex // guards labels and status
	labels  map[string]string
	created time.Time
	process *specs.Process // of a container
	cgroup  string
	about   about
	sandbox *runtimeapi.PodSandboxConfig // of a sandbox
	status  *runtimeapi.ContainerStatus  // of a container: what doesn't change with its state

}

// about is a record's extension.
type about struct {
	Config     []byte   // of a sandbox: its cri.PodSandboxConfig
	Namespaces string   // of a sandbox: the folder with the pins; "": the node's
	Attached   string   // of a sandbox: its id for CNI
	IPs        []string // of a sandbox
	Pause      bool     // of a sandbox: a pause process holds its PID namespace

	Status     []byte // of a container: its cri.ContainerStatus as it was made
	Sandbox    string // of a container
	Stdin      bool
	StdinOnce  bool
	TTY        bool
	StopSignal int
}

func (r *record) label(name string) string {
	r.state.Lock()
	defer r.state.Unlock()
	return r.labels[name]
}

// base is a container's status as it was made, with its resources as they are.
func (r *record) base() *runtimeapi.ContainerStatus {
	r.state.Lock()
	defer r.state.Unlock()
	return r.status
}

func (r *record) isSandbox() bool { return r.sandbox != nil }

// ready reports a sandbox that wasn't stopped.
func (r *record) ready() bool { return r.label(labelReady) == "true" }

func (r *record) number(name string) int64 {
	n, err := strconv.ParseInt(r.label(name), 10, 64)
	if err != nil {
		return 0 // not set yet
	}
	return n
}

func (r *record) containerState() runtimeapi.ContainerState {
	switch {
	case r.label(labelFinished) != "":
		return runtimeapi.ContainerState_CONTAINER_EXITED
	case r.label(labelStarted) != "":
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return runtimeapi.ContainerState_CONTAINER_CREATED
}

// load copies all records.
func (r *Runtime) load(ctx context.Context) error {
	list, err := r.daemon.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%q", labelFolder, r.o.Dir))
	if err != nil {
		return classify(err, "list what containerd has")
	}
	for _, c := range list {
		rec, err := readRecord(c)
		if err != nil {
			return fmt.Errorf("read the record of %s: %w", c.ID, err)
		}
		r.records[c.ID] = rec
	}
	return nil
}

func readRecord(c containers.Container) (*record, error) {
	rec := &record{id: c.ID, labels: c.Labels, created: c.CreatedAt}
	if e := c.Extensions[extension]; e == nil {
		return nil, fmt.Errorf("%w: it has no extension %s", events.ErrInvalid, extension)
	} else if err := json.Unmarshal(e.GetValue(), &rec.about); err != nil {
		return nil, err
	}
	if c.Labels[labelKind] == kindSandbox {
		rec.sandbox = &runtimeapi.PodSandboxConfig{}
		return rec, proto.Unmarshal(rec.about.Config, rec.sandbox)
	}
	rec.status = &runtimeapi.ContainerStatus{}
	var spec specs.Spec
	if err := json.Unmarshal(c.Spec.GetValue(), &spec); err != nil {
		return nil, err
	}
	rec.process = spec.Process
	if spec.Linux != nil {
		rec.cgroup = spec.Linux.CgroupsPath
	}
	return rec, proto.Unmarshal(rec.about.Status, rec.status)
}

// keep makes a record in containerd and its copy.
func (r *Runtime) keep(ctx context.Context, c containers.Container, a about) (*record, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	c.Labels[labelFolder] = r.o.Dir
	c.Runtime = containers.RuntimeInfo{Name: shim, Options: r.options}
	c.Extensions = map[string]typeurl.Any{extension: plain{extension, data}}
	made, err := r.daemon.ContainerService().Create(ctx, c)
	if err != nil {
		return nil, err
	}
	made.Spec, made.Extensions, made.Labels = c.Spec, c.Extensions, maps.Clone(c.Labels)
	rec, err := readRecord(made)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[c.ID] = rec
	return rec, nil
}

// plain is a typeurl.Any of bytes that are only ours.
type plain struct {
	url   string
	value []byte
}

func (p plain) GetTypeUrl() string { return p.url }
func (p plain) GetValue() []byte   { return p.value }

// note writes labels to containerd; see shows them in the copy.
func (r *Runtime) note(ctx context.Context, id string, labels map[string]string) error {
	paths := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		paths = append(paths, "labels."+k)
	}
	_, err := r.daemon.ContainerService().Update(ctx, containers.Container{ID: id, Labels: labels}, paths...)
	return classify(err, "note on the record of %s", id)
}

func (r *record) see(labels map[string]string) {
	r.state.Lock()
	defer r.state.Unlock()
	maps.Copy(r.labels, labels)
}

// drop removes a record.
func (r *Runtime) drop(ctx context.Context, id string) error {
	if err := r.daemon.ContainerService().Delete(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return classify(err, "remove the record of %s", id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.records, id)
	delete(r.ooms, id)
	return nil
}

func (r *Runtime) find(id string) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[id]
}

func (r *Runtime) findContainer(id string) (*record, error) {
	rec := r.find(id)
	if rec == nil || rec.isSandbox() {
		return nil, fmt.Errorf("container %s: %w", id, events.ErrNotFound)
	}
	return rec, nil
}

func (r *Runtime) findSandbox(id string) (*record, error) {
	rec := r.find(id)
	if rec == nil || !rec.isSandbox() {
		return nil, fmt.Errorf("sandbox %s: %w", id, events.ErrNotFound)
	}
	return rec, nil
}

// all gives the records that satisfy f, the oldest first.
func (r *Runtime) all(f func(*record) bool) []*record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*record
	for _, rec := range r.records {
		if f(rec) {
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b *record) int { return a.created.Compare(b.created) })
	return out
}

func (r *Runtime) containersOf(sandbox string) []*record {
	return r.all(func(rec *record) bool { return !rec.isSandbox() && rec.about.Sandbox == sandbox })
}

// List implements runtime.Runtime.
func (r *Runtime) List(_ context.Context, uid string) ([]runtime.Sandbox, error) {
	var out []runtime.Sandbox
	for _, s := range r.all(func(rec *record) bool {
		return rec.isSandbox() && (uid == "" || rec.sandbox.Metadata.Uid == uid)
	}) {
		item := runtime.Sandbox{PodSandbox: &runtimeapi.PodSandbox{
			Id: s.id, Metadata: s.sandbox.Metadata, State: s.sandboxState(), CreatedAt: s.created.UnixNano(),
			Labels: s.sandbox.Labels, Annotations: s.sandbox.Annotations,
		}}
		for _, c := range r.containersOf(s.id) {
			base := c.base()
			item.Containers = append(item.Containers, &runtimeapi.Container{
				Id: c.id, PodSandboxId: s.id, Metadata: base.Metadata, Image: base.Image, ImageRef: base.ImageRef, ImageId: base.ImageId,
				State: c.containerState(), CreatedAt: c.created.UnixNano(), Labels: base.Labels, Annotations: base.Annotations,
			})
		}
		out = append(out, item)
	}
	return out, nil
}
