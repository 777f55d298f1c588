package direct

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// podMounts are the files that the pod's containers share, unless the container
// mounts something else there.
func (r *Runtime) podMounts(in specInput) []*runtimeapi.Mount {
	dir, sc := r.sandboxDir(in.sandbox.id), in.config.GetLinux().GetSecurityContext()
	shm := filepath.Join(dir, "shm")
	if in.sandbox.sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions().GetIpc() == runtimeapi.NamespaceMode_NODE {
		shm = "/dev/shm"
	}
	var out []*runtimeapi.Mount
	for _, m := range []*runtimeapi.Mount{
		{ContainerPath: "/etc/hostname", HostPath: filepath.Join(dir, "hostname"), Readonly: sc.GetReadonlyRootfs()},
		{ContainerPath: "/etc/hosts", HostPath: filepath.Join(dir, "hosts"), Readonly: sc.GetReadonlyRootfs()},
		{ContainerPath: "/etc/resolv.conf", HostPath: filepath.Join(dir, "resolv.conf"), Readonly: sc.GetReadonlyRootfs()},
		{ContainerPath: "/dev/shm", HostPath: shm},
	} {
		if !slices.ContainsFunc(in.config.Mounts, func(o *runtimeapi.Mount) bool { return filepath.Clean(o.ContainerPath) == m.ContainerPath }) {
			out = append(out, m)
		}
	}
	return out
}

// mountAll completes the file systems of the kernel.
func (*Runtime) mountAll(spec *specs.Spec, in specInput) {
	mode := "ro"
	if in.config.GetLinux().GetSecurityContext().GetPrivileged() {
		mode = "rw"
		for i := range spec.Mounts {
			if spec.Mounts[i].Type == "sysfs" {
				spec.Mounts[i].Options = slices.Clone(spec.Mounts[i].Options)
				spec.Mounts[i].Options[slices.Index(spec.Mounts[i].Options, "ro")] = "rw"
			}
		}
	}
	spec.Mounts = append(spec.Mounts, specs.Mount{Source: "cgroup", Destination: "/sys/fs/cgroup", Type: "cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", mode}})
}

// bindMounts adds the container's and the pod's mounts, those of the fewest
// parts first, in the place of the defaults that they cover.
func bindMounts(spec *specs.Spec, config *runtimeapi.ContainerConfig, more []*runtimeapi.Mount) error {
	all := append(slices.Clone(config.Mounts), more...)
	parts := func(m *runtimeapi.Mount) int { return strings.Count(filepath.Clean(m.ContainerPath), "/") }
	slices.SortStableFunc(all, func(a, b *runtimeapi.Mount) int { return parts(a) - parts(b) })
	covers := func(path string) bool {
		return slices.ContainsFunc(all, func(m *runtimeapi.Mount) bool {
			over := filepath.Clean(m.ContainerPath)
			return over == path || over == "/dev" && strings.HasPrefix(path, "/dev/")
		})
	}
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return covers(filepath.Clean(m.Destination)) })
	for _, m := range all {
		one, err := bindMount(spec, m)
		if err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.HostPath, m.ContainerPath, err)
		}
		spec.Mounts = append(spec.Mounts, one)
	}
	return nil
}

func bindMount(spec *specs.Spec, m *runtimeapi.Mount) (specs.Mount, error) {
	if m.GetImage().GetImage() != "" {
		return specs.Mount{}, fmt.Errorf("%w: image volumes aren't supported on this node", events.ErrInvalid)
	}
	if m.RecursiveReadOnly {
		return specs.Mount{}, fmt.Errorf("%w: recursive read-only mounts aren't supported on this node", events.ErrInvalid)
	}
	if _, err := os.Stat(m.HostPath); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(m.HostPath, 0o755); err != nil {
			return specs.Mount{}, err
		}
	} else if err != nil {
		return specs.Mount{}, err
	}
	source, err := filepath.EvalSymlinks(m.HostPath)
	if err != nil {
		return specs.Mount{}, err
	}
	out := specs.Mount{Source: source, Destination: m.ContainerPath, Type: "bind", Options: []string{"rbind"}}
	switch m.Propagation {
	case runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL:
		if err := propagates(source, "shared:"); err != nil {
			return out, err
		}
		out.Options = append(out.Options, "rshared")
		spec.Linux.RootfsPropagation = "rshared"
	case runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER:
		if err := propagates(source, "shared:", "master:"); err != nil {
			return out, err
		}
		out.Options = append(out.Options, "rslave")
		if spec.Linux.RootfsPropagation != "rshared" {
			spec.Linux.RootfsPropagation = "rslave"
		}
	default:
		out.Options = append(out.Options, "rprivate")
	}
	mode := "rw"
	if m.Readonly {
		mode = "ro"
	}
	out.Options = append(out.Options, mode)
	return out, nil
}

// propagates makes sure that the mount below a path is of one of these kinds.
func propagates(path string, kinds ...string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(path))
	if err != nil {
		return err
	}
	var at *mountinfo.Info
	for _, m := range mounts {
		if at == nil || len(m.Mountpoint) >= len(at.Mountpoint) {
			at = m
		}
	}
	if at == nil {
		return fmt.Errorf("%w: nothing is mounted at %s", events.ErrInvalid, path)
	}
	for _, kind := range kinds {
		if strings.Contains(at.Optional, kind) {
			return nil
		}
	}
	return fmt.Errorf("%w: path %q is mounted on %q but it is not a shared mount", events.ErrInvalid, path, at.Mountpoint)
}
