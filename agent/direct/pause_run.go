package direct

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	pauseScore  = -998
	pauseShares = 2
)

// needsPause: a PID namespace lives as long as its first process.
func needsPause(config *runtimeapi.PodSandboxConfig) bool {
	return config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetPid() == runtimeapi.NamespaceMode_POD
}

// preparePause adds to a sandbox's record what its pause process needs.
func (r *Runtime) preparePause(ctx context.Context, c *containers.Container, config *runtimeapi.PodSandboxConfig, dir string) (*image, error) {
	image, err := r.image(ctx, r.o.PauseImage)
	if err != nil {
		return nil, err
	}
	spec, err := r.bareSpec(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	args, err := arguments(&runtimeapi.ContainerConfig{}, &image.config)
	if err != nil {
		return nil, err
	}
	spec.Process.Args, spec.Process.NoNewPrivileges = args, true
	spec.Process.Capabilities = &specs.LinuxCapabilities{}
	spec.Root.Readonly = true
	score, err := possibleScore(pauseScore)
	if err != nil {
		return nil, err
	}
	shares := uint64(pauseShares)
	spec.Process.OOMScoreAdj = &score
	spec.Linux.Resources.CPU = &specs.LinuxCPU{Shares: &shares}
	spec.Linux.Seccomp = seccomp.DefaultProfile(spec)
	spec.Linux.CgroupsPath = cgroupPath(config, c.ID)
	in := specInput{sandbox: &record{sandbox: config, about: about{Namespaces: dir}},
		config: &runtimeapi.ContainerConfig{Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}}}}}
	spec.Linux.Namespaces = joinNamespaces(in)
	spec.Annotations = map[string]string{annotationType: "sandbox", annotationSandbox: c.ID}
	if c.Spec, err = typeurl.MarshalAny(spec); err != nil {
		return nil, err
	}
	c.Snapshotter, c.SnapshotKey = snapshotter, c.ID
	return image, nil
}

func (r *Runtime) startPause(ctx context.Context, rec *record, i *image) error {
	if err := r.prepareSnapshot(ctx, rec.id, i.chain); err != nil {
		return err
	}
	if err := r.createTask(ctx, rec.id, taskIO{}); err != nil {
		return err
	}
	return r.startTask(ctx, rec.id)
}

// stopPause ends the pause process; rec.mu is held.
func (r *Runtime) stopPause(ctx context.Context, rec *record) error {
	if err := r.killTask(ctx, rec.id); err != nil {
		return err
	}
	return r.deleteTask(ctx, rec.id)
}

// pidSpace gives the path of the PID namespace that a container joins.
func (r *Runtime) pidSpace(ctx context.Context, sandbox *record, config *runtimeapi.ContainerConfig) (string, error) {
	options := config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	target := ""
	switch options.GetPid() {
	case runtimeapi.NamespaceMode_POD:
		target = sandbox.id
	case runtimeapi.NamespaceMode_TARGET:
		target = options.TargetId
	default:
		return "", nil
	}
	task, err := r.task(ctx, target)
	if err != nil {
		return "", fmt.Errorf("find the PID namespace to join: %w", err)
	}
	return filepath.Join("/proc", fmt.Sprint(task.Pid), "ns", "pid"), nil
}
