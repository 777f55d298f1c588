package direct

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// UpdateResources implements runtime.Runtime.
func (r *Runtime) UpdateResources(ctx context.Context, id string, change *runtimeapi.LinuxContainerResources) error {
	ctx = inNamespace(ctx)
	rec, err := r.findContainer(id)
	if err != nil {
		return err
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !runs(rec) {
		return fmt.Errorf("%w: container %s doesn't run", events.ErrInvalid, id)
	}
	spec := &specs.Spec{Process: &specs.Process{}, Linux: &specs.Linux{Resources: &specs.LinuxResources{}}}
	if err := limit(spec, change); err != nil {
		return err
	}
	resources, err := typeurl.MarshalAny(spec.Linux.Resources)
	if err != nil {
		return err
	}
	_, err = r.daemon.TaskService().Update(ctx, &tasks.UpdateTaskRequest{ContainerID: id, Resources: typeurl.MarshalProto(resources)})
	if err != nil {
		return classify(native(err), "update the resources of container %s", id)
	}
	return r.noteResources(ctx, rec, change)
}

// noteResources keeps what a container may use now; rec.mu is held.
func (r *Runtime) noteResources(ctx context.Context, rec *record, change *runtimeapi.LinuxContainerResources) error {
	status := proto.Clone(rec.status).(*runtimeapi.ContainerStatus)
	if status.Resources.GetLinux() == nil {
		status.Resources = &runtimeapi.ContainerResources{Linux: &runtimeapi.LinuxContainerResources{}}
	}
	proto.Merge(status.Resources.Linux, change) // what is 0 stays
	a := rec.about
	var err error
	if a.Status, err = proto.Marshal(status); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = r.daemon.ContainerService().Update(ctx, containers.Container{ID: rec.id,
		Extensions: map[string]typeurl.Any{extension: plain{extension, data}}}, "extensions."+extension)
	if err != nil {
		return classify(err, "note the resources of container %s", rec.id)
	}
	rec.state.Lock()
	defer rec.state.Unlock()
	rec.status = status
	return nil
}
