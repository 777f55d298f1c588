package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/sys/signal"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// CreateContainer implements runtime.Runtime.
func (r *Runtime) CreateContainer(ctx context.Context, sandbox string, config *runtimeapi.ContainerConfig, s *runtimeapi.PodSandboxConfig) (string, error) {
	id, err := r.createContainer(inNamespace(ctx), sandbox, config, s)
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", config.Metadata.Name, err)
	}
	return id, nil
}

func (r *Runtime) createContainer(ctx context.Context, sandbox string, config *runtimeapi.ContainerConfig, s *runtimeapi.PodSandboxConfig) (string, error) {
	box, err := r.findSandbox(sandbox)
	if err != nil {
		return "", err
	}
	id := identify(sandbox, "\x00", config.Metadata.Name, "\x00", config.Metadata.Attempt)
	if r.find(id) != nil {
		return "", fmt.Errorf("attempt %d of it: %w", config.Metadata.Attempt, events.ErrExists)
	}
	image, err := r.image(ctx, config.GetImage().GetImage())
	if err != nil {
		return "", err
	}
	in := specInput{id: id, config: config, sandbox: box, image: image, hostname: box.sandbox.Hostname}
	if in.hostname == "" {
		if in.hostname, err = os.Hostname(); err != nil {
			return "", err
		}
	}
	if in.user, err = r.userOf(ctx, image, config.GetLinux().GetSecurityContext()); err != nil {
		return "", err
	}
	if in.pidSpace, err = r.pidSpace(ctx, box, config); err != nil {
		return "", err
	}
	spec, err := r.makeSpec(ctx, in)
	if err != nil {
		return "", err
	}
	a := about{Sandbox: sandbox, Stdin: config.Stdin, StdinOnce: config.StdinOnce, TTY: config.Tty, StopSignal: stopSignal(config, image)}
	status := &runtimeapi.ContainerStatus{
		Id: id, Metadata: config.Metadata, Image: &runtimeapi.ImageSpec{Image: in.imageName()}, ImageRef: config.GetImage().GetImage(), ImageId: config.GetImage().GetImage(),
		Labels: config.Labels, Annotations: config.Annotations, Mounts: config.Mounts, StopSignal: config.StopSignal,
		User: &runtimeapi.ContainerUser{Linux: containerUser(in.user)},
	}
	if s.GetLogDirectory() != "" && config.LogPath != "" {
		status.LogPath = filepath.Join(s.LogDirectory, config.LogPath)
	}
	if resources := config.GetLinux().GetResources(); resources != nil {
		status.Resources = &runtimeapi.ContainerResources{Linux: resources}
	}
	if a.Status, err = proto.Marshal(status); err != nil {
		return "", err
	}
	c := containers.Container{ID: id, Image: in.imageName(), Snapshotter: snapshotter, SnapshotKey: id,
		Labels: map[string]string{labelKind: kindContainer, runtime.LabelPodUID: box.sandbox.Metadata.Uid}}
	if c.Spec, err = typeurl.MarshalAny(spec); err != nil {
		return "", err
	}
	if _, err := r.keep(ctx, c, a); err != nil {
		return "", classify(err, "keep it")
	}
	if err := r.prepareSnapshot(ctx, id, image.chain); err != nil {
		return "", errors.Join(err, r.drop(context.WithoutCancel(ctx), id))
	}
	return id, nil
}

func (in specInput) imageName() string {
	if name := in.config.GetImage().GetUserSpecifiedImage(); name != "" {
		return name
	}
	return in.config.GetImage().GetImage()
}

func containerUser(u user) *runtimeapi.LinuxContainerUser {
	out := &runtimeapi.LinuxContainerUser{Uid: int64(u.UID), Gid: int64(u.GID)}
	for _, g := range u.AdditionalGids {
		out.SupplementalGroups = append(out.SupplementalGroups, int64(g))
	}
	return out
}

// stopSignal is what the container says, otherwise the image, otherwise SIGTERM.
func stopSignal(config *runtimeapi.ContainerConfig, i *image) int {
	name := i.config.StopSignal
	if config.StopSignal != runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		// The realtime signals' names are SIGRTMINPLUSn for SIGRTMIN+n.
		name = strings.NewReplacer("PLUS", "+", "MINUS", "-").Replace(config.StopSignal.String())
	}
	if s, err := signal.ParseSignal(name); err == nil {
		return int(s)
	}
	return int(unix.SIGTERM)
}

// StartContainer implements runtime.Runtime.
func (r *Runtime) StartContainer(ctx context.Context, id string) error {
	ctx = inNamespace(ctx)
	rec, err := r.findContainer(id)
	if err != nil {
		return err
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if s := rec.containerState(); s != runtimeapi.ContainerState_CONTAINER_CREATED {
		return fmt.Errorf("%w: container %s is in %s state", events.ErrInvalid, id, s)
	}
	if err := r.startContainer(ctx, rec); err != nil {
		failed := r.failStart(context.WithoutCancel(ctx), rec, err)
		return errors.Join(fmt.Errorf("start container %s: %w", id, err), failed)
	}
	return nil
}

func (r *Runtime) startContainer(ctx context.Context, rec *record) error {
	io, err := r.openIO(ctx, rec)
	if err != nil {
		return err
	}
	if err := r.createTask(ctx, rec.id, io); err != nil {
		return err
	}
	// Noted at the same time: if the agent ends now, what is noted and has a
	// task runs, and what is noted and has none has ended.
	labels := map[string]string{labelStarted: fmt.Sprint(time.Now().UnixNano())}
	noted := make(chan error, 1)
	go func() { noted <- r.note(ctx, rec.id, labels) }()
	err = r.startTask(ctx, rec.id)
	if err := errors.Join(err, <-noted); err != nil {
		return err
	}
	rec.see(labels)
	return nil
}

// What CRI says of a container that didn't start.
const (
	startFailed     = "StartError"
	startFailedCode = 128
)

// failStart makes a container that couldn't be started one that has ended.
func (r *Runtime) failStart(ctx context.Context, rec *record, why error) error {
	err := errors.Join(r.killTask(ctx, rec.id), r.deleteTask(ctx, rec.id), r.forgetIO(ctx, rec.id))
	now := fmt.Sprint(time.Now().UnixNano())
	text := strings.ToValidUTF8(why.Error()[:min(len(why.Error()), longestMessage)], "")
	labels := map[string]string{labelFinished: now, labelCode: fmt.Sprint(startFailedCode), labelReason: startFailed, labelMessage: text}
	if err := errors.Join(err, r.note(ctx, rec.id, labels)); err != nil {
		return err
	}
	rec.see(labels)
	return nil
}

// forgetIO ends the reading of a container's streams and removes its fifos.
func (r *Runtime) forgetIO(ctx context.Context, id string) error {
	return errors.Join(r.logger.Forget(ctx, id), os.RemoveAll(filepath.Join(r.o.Dir, dirFifos, id)))
}
