package direct

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// The annotations by which tools tell containers of pods, as CRI writes them;
// shims also read the first.
const (
	annotationSandbox   = "io.kubernetes.cri.sandbox-id"
	annotationType      = "io.kubernetes.cri.container-type"
	annotationContainer = "io.kubernetes.cri.container-name"
	annotationImage     = "io.kubernetes.cri.image-name"
	annotationName      = "io.kubernetes.cri.sandbox-name"
	annotationNamespace = "io.kubernetes.cri.sandbox-namespace"
	annotationUID       = "io.kubernetes.cri.sandbox-uid"
)

// specInput is all that a container's OCI spec is made of.
type specInput struct {
	id       string
	config   *runtimeapi.ContainerConfig
	sandbox  *record
	image    *image
	user     user
	pidSpace string // path of a PID namespace; "": one of its own
	hostname string
}

// makeSpec writes the OCI spec.
func (r *Runtime) makeSpec(ctx context.Context, in specInput) (*specs.Spec, error) {
	sc := in.config.GetLinux().GetSecurityContext()
	spec, err := r.bareSpec(ctx, in.id)
	if err != nil {
		return nil, err
	}
	args, err := arguments(in.config, &in.image.config)
	if err != nil {
		return nil, err
	}
	p := spec.Process
	p.Args, p.User, p.NoNewPrivileges = args, in.user, sc.GetNoNewPrivs()
	if dir := in.config.WorkingDir; dir != "" {
		p.Cwd = dir
	} else if dir := in.image.config.WorkingDir; dir != "" {
		p.Cwd = dir
	}
	if in.config.Tty {
		p.Terminal = true
		p.Env = append(p.Env, "TERM=xterm")
	}
	p.Env = setVariable(p.Env, "HOSTNAME="+in.hostname)
	for _, e := range in.image.config.Env {
		p.Env = setVariable(p.Env, e)
	}
	for _, e := range in.config.Envs {
		p.Env = setVariable(p.Env, e.Key+"="+string(e.Value))
	}
	spec.Linux.CgroupsPath = cgroupPath(in.sandbox.sandbox, in.id)
	spec.Linux.Namespaces = joinNamespaces(in)
	if unified() && !sc.GetPrivileged() {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	spec.Root.Readonly = sc.GetReadonlyRootfs()
	r.mountAll(spec, in)
	if err := bindMounts(spec, in.config, r.podMounts(in)); err != nil {
		return nil, err
	}
	if err := r.secure(ctx, spec, in); err != nil {
		return nil, err
	}
	if err := limit(spec, in.config.GetLinux().GetResources()); err != nil {
		return nil, err
	}
	m := in.sandbox.sandbox.Metadata
	name := in.config.GetImage().GetUserSpecifiedImage()
	if name == "" {
		name = in.config.GetImage().GetImage()
	}
	spec.Annotations = map[string]string{
		annotationSandbox: in.sandbox.id, annotationType: "container", annotationContainer: in.config.Metadata.Name, annotationImage: name,
		annotationName: m.Name, annotationNamespace: m.Namespace, annotationUID: m.Uid,
	}
	return spec, nil
}

// bareSpec is containerd's default without what CRI leaves away.
func (r *Runtime) bareSpec(ctx context.Context, id string) (*specs.Spec, error) {
	spec, err := oci.GenerateSpec(ctx, r.daemon, &containers.Container{ID: id}, oci.WithDefaultPathEnv, oci.WithoutRunMount)
	if err != nil {
		return nil, fmt.Errorf("make an OCI spec: %w", err)
	}
	spec.Process.Rlimits = nil
	spec.Process.ApparmorProfile = ""
	spec.Linux.Seccomp = nil
	spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = nil, nil
	return spec, nil
}

// arguments joins what the container and its image say about the command.
func arguments(config *runtimeapi.ContainerConfig, image *ociConfig) ([]string, error) {
	command, args := config.Command, config.Args
	if len(command) == 0 {
		if len(args) == 0 {
			args = image.Cmd
		}
		if len(image.Entrypoint) != 1 || image.Entrypoint[0] != "" {
			command = image.Entrypoint
		}
	}
	if len(command)+len(args) == 0 {
		return nil, fmt.Errorf("%w: no command specified", events.ErrInvalid)
	}
	return append(append([]string{}, command...), args...), nil
}

// setVariable adds NAME=value, or replaces the one of its name.
func setVariable(env []string, variable string) []string {
	name, _, _ := strings.Cut(variable, "=")
	for i, have := range env {
		if n, _, _ := strings.Cut(have, "="); n == name {
			env[i] = variable
			return env
		}
	}
	return append(env, variable)
}

func cgroupPath(sandbox *runtimeapi.PodSandboxConfig, id string) string {
	parent := sandbox.GetLinux().GetCgroupParent()
	if parent == "" {
		parent = "/reckon"
	}
	return path.Join(parent, id)
}

// joinNamespaces gives the pod's namespaces; those of the node are the ones
// that aren't listed.
func joinNamespaces(in specInput) []specs.LinuxNamespace {
	options, dir := in.sandbox.sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions(), in.sandbox.about.Namespaces
	out := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	if in.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetPid() != runtimeapi.NamespaceMode_NODE {
		out = append(out, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: in.pidSpace})
	}
	if options.GetIpc() != runtimeapi.NamespaceMode_NODE {
		out = append(out, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: filepath.Join(dir, pinIPC)})
	}
	if options.GetNetwork() != runtimeapi.NamespaceMode_NODE {
		out = append(out, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: filepath.Join(dir, pinNet)},
			specs.LinuxNamespace{Type: specs.UTSNamespace, Path: filepath.Join(dir, pinUTS)})
	}
	return out
}

// limit writes what the container may use.
func limit(spec *specs.Spec, in *runtimeapi.LinuxContainerResources) error {
	out := spec.Linux.Resources
	out.Memory, out.CPU = &specs.LinuxMemory{}, &specs.LinuxCPU{}
	if in == nil {
		return nil
	}
	if in.CpuPeriod != 0 {
		period := uint64(in.CpuPeriod)
		out.CPU.Period = &period
	}
	if in.CpuQuota != 0 {
		out.CPU.Quota = &in.CpuQuota
	}
	if in.CpuShares != 0 {
		shares := uint64(in.CpuShares)
		out.CPU.Shares = &shares
	}
	out.CPU.Cpus, out.CPU.Mems = in.CpusetCpus, in.CpusetMems
	if in.MemoryLimitInBytes != 0 {
		out.Memory.Limit = &in.MemoryLimitInBytes
		if countsSwap() { // as much swap as memory is no swap
			out.Memory.Swap = &in.MemoryLimitInBytes
		}
	}
	if in.MemorySwapLimitInBytes != 0 && countsSwap() {
		out.Memory.Swap = &in.MemorySwapLimitInBytes
	}
	for _, h := range in.HugepageLimits {
		if limitsHugepages() {
			out.HugepageLimits = append(out.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: h.PageSize, Limit: h.Limit})
		}
	}
	if len(in.Unified) > 0 {
		out.Unified = in.Unified
	}
	score, err := possibleScore(int(in.OomScoreAdj))
	spec.Process.OOMScoreAdj = &score
	return err
}

// possibleScore is a score of the OOM killer that this process may give: not a
// lower one than its own without CAP_SYS_RESOURCE.
func possibleScore(wanted int) (int, error) {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read the own score for the OOM killer: %w", err)
	}
	return max(wanted, own), nil
}

const cgroups = "/sys/fs/cgroup"

// unified reports the kernel's second cgroup interface.
var unified = sync.OnceValue(func() bool {
	var s unix.Statfs_t
	return unix.Statfs(cgroups, &s) == nil && s.Type == unix.CGROUP2_SUPER_MAGIC
})

var countsSwap = sync.OnceValue(func() bool {
	if !unified() {
		return exists(cgroups + "/memory/memory.memsw.limit_in_bytes")
	}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return exists(filepath.Join(cgroups, own, "memory.swap.max"))
		}
	}
	return false
})

var limitsHugepages = sync.OnceValue(func() bool {
	if !unified() {
		return exists(cgroups + "/hugetlb")
	}
	data, err := os.ReadFile(cgroups + "/cgroup.controllers")
	return err == nil && strings.Contains(string(data), "hugetlb")
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
