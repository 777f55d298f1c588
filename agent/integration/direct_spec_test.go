package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/runtime"
)

// specCase is a pod that both ways are to make alike.
type specCase struct {
	name   string
	change func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig)
}

var specCases = []specCase{
	{"plain", func(*runtimeapi.PodSandboxConfig, *runtimeapi.ContainerConfig) {}},
	{"hardened", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		sc := c.Linux.SecurityContext
		sc.RunAsUser, sc.RunAsGroup = &runtimeapi.Int64Value{Value: 1000}, &runtimeapi.Int64Value{Value: 2000}
		sc.SupplementalGroups, sc.ReadonlyRootfs, sc.NoNewPrivs = []int64{3000, 4000}, true, true
		sc.Capabilities = &runtimeapi.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}}
		sc.Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
		sc.MaskedPaths, sc.ReadonlyPaths = []string{"/proc/kcore", "/sys/firmware"}, []string{"/proc/sys", "/proc/bus"}
	}},
	{"privileged", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		s.Linux.SecurityContext.Privileged, c.Linux.SecurityContext.Privileged = true, true
	}},
	{"host", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		o := &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE, Pid: runtimeapi.NamespaceMode_NODE, Ipc: runtimeapi.NamespaceMode_NODE}
		s.Hostname, s.Linux.SecurityContext.NamespaceOptions, c.Linux.SecurityContext.NamespaceOptions = "", o, o
	}},
	{"host network", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		o := &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE, Pid: runtimeapi.NamespaceMode_CONTAINER}
		s.Hostname, s.Linux.SecurityContext.NamespaceOptions, c.Linux.SecurityContext.NamespaceOptions = "", o, o
		c.Linux.SecurityContext.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"ALL"}, DropCapabilities: []string{"SYS_ADMIN"}}
	}},
	{"limited, shared processes", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		o := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_POD}
		s.Linux.SecurityContext.NamespaceOptions, c.Linux.SecurityContext.NamespaceOptions = o, o
		c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512, MemoryLimitInBytes: 64 << 20, OomScoreAdj: -500, CpusetCpus: "0"}
		s.Linux.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "kernel.msgmax": "16384"}
	}},
	{"own things", func(s *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) {
		s.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"10.9.9.9"}, Searches: []string{"here.test"}, Options: []string{"ndots:5"}}
		c.Envs = []*runtimeapi.KeyValue{{Key: "PATH", Value: []byte("/bin")}, {Key: "A", Value: []byte("b=c")}}
		c.WorkingDir = "/tmp"
		c.Linux.SecurityContext.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"NET_ADMIN", "SYS_TIME"}, DropCapabilities: []string{"MKNOD", "KILL"}}
		c.Devices = []*runtimeapi.Device{{HostPath: "/dev/zero", ContainerPath: "/dev/nought", Permissions: "r"}}
		c.Mounts = []*runtimeapi.Mount{{HostPath: s.LogDirectory, ContainerPath: "/deep/er/logs", Readonly: true}, {HostPath: s.LogDirectory, ContainerPath: "/logs"},
			{HostPath: "/etc/hostname", ContainerPath: "/etc/hosts"}}
	}},
}

// asked is what a process is asked to tell about where it is.
const asked = `cat /proc/self/status; cat /proc/self/limits /proc/self/oom_score_adj; hostname; id; pwd; env; cat /etc/resolv.conf; ls -l /dev;
cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax;
cat /sys/fs/cgroup/memory/memory.limit_in_bytes; echo > /new 2>/dev/null && echo writable; echo > /proc/sys/kernel/msgmax 2>/dev/null && echo can set; true`

func TestDirectIsAsSafeAsCRI(t *testing.T) {
	n, runtimes := newRuntimes(t)
	specsOf, seenIn := map[string]map[string]string{}, map[string]map[string]string{}
	for _, name := range []string{agent.RuntimeCRI, agent.RuntimeDirect} {
		r := runtimes[name](t)
		specsOf[name], seenIn[name] = map[string]string{}, map[string]string{}
		for _, c := range specCases {
			specsOf[name][c.name], seenIn[name][c.name] = n.tryCase(r, c)
		}
	}
	for _, c := range specCases {
		compareLines(t, c.name+": the specs", specsOf[agent.RuntimeCRI][c.name], specsOf[agent.RuntimeDirect][c.name])
		compareLines(t, c.name+": what a process sees", seenIn[agent.RuntimeCRI][c.name], seenIn[agent.RuntimeDirect][c.name])
	}
}

func compareLines(t *testing.T, what, cri, direct string) {
	t.Helper()
	if cri == direct {
		return
	}
	a, b := strings.Split(cri, "\n"), strings.Split(direct, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s differ in line %d:\ncri    %s\ndirect %s", what, i+1, strings.Join(a[i:min(i+4, len(a))], "\n"), strings.Join(b[i:min(i+4, len(b))], "\n"))
			return
		}
	}
	t.Errorf("%s have %d and %d lines", what, len(a), len(b))
}

// tryCase runs a pod, and gives its normalised spec and what a process in it sees.
func (n *node) tryCase(r runtime.Runtime, c specCase) (spec, seen string) {
	n.t.Helper()
	ctx, uid := n.t.Context(), uuid.NewString()
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatalf("%s: %v", c.name, err)
		}
	}
	sandbox := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "twin", Namespace: "default", Uid: uid}, Hostname: "twin",
		LogDirectory: filepath.Join(n.options.Dir, "logs"), Labels: map[string]string{runtime.LabelPodUID: uid},
		Linux: &runtimeapi.LinuxPodSandboxConfig{CgroupParent: agent.Layout(n.options).CgroupPrefix() + "/pod" + uid,
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}}},
	}
	must(os.MkdirAll(sandbox.LogDirectory, 0o755))
	container := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "main"}, Image: &runtimeapi.ImageSpec{Image: busybox}, LogPath: "twin.log", Command: []string{"/bin/sleep", "1000"},
		Linux: &runtimeapi.LinuxContainerConfig{Resources: &runtimeapi.LinuxContainerResources{},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: sandbox.Linux.SecurityContext.NamespaceOptions}},
	}
	c.change(sandbox, container)
	box, err := r.RunSandbox(ctx, sandbox)
	must(err)
	id, err := r.CreateContainer(ctx, box, container, sandbox)
	must(err)
	must(r.StartContainer(ctx, id))
	spec = n.normalSpec(id, box, uid)
	out, code, err := r.ExecSync(ctx, id, []string{"/bin/sh", "-c", asked}, 0)
	must(err)
	if code != 0 {
		n.t.Errorf("%s: asking gave %d: %s", c.name, code, out)
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, ":")
		switch name { // what the processes of two runs never share
		case "Pid", "PPid", "Tgid", "Ngid", "NSpid", "NStgid", "NSpgid", "NSsid", "FDSize", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			continue
		}
		if strings.HasPrefix(name, "Vm") || strings.HasPrefix(name, "Rss") || strings.HasPrefix(name, "Sig") || strings.HasPrefix(name, "Shd") || strings.HasPrefix(name, "Seccomp_filters") {
			continue
		}
		seen += strings.Join(strings.Fields(withoutTime(line)), " ") + "\n"
	}
	must(r.StopContainer(ctx, id, 0))
	must(r.StopSandbox(ctx, box))
	must(r.RemoveSandbox(ctx, box))
	return spec, seen
}

// withoutTime leaves the date out of a line of ls -l.
func withoutTime(line string) string {
	f := strings.Fields(line)
	if len(f) < 9 || !strings.ContainsAny(line[:1], "crwdlb-p") {
		return line
	}
	for i, month := range f {
		if strings.Contains("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", month) && len(month) == 3 && i+3 < len(f) {
			return strings.Join(append(f[:i:i], f[i+3:]...), " ")
		}
	}
	return line
}

// normalSpec gives a container's OCI spec without what can't be the same twice.
func (n *node) normalSpec(id, sandbox, uid string) string {
	n.t.Helper()
	data, err := os.ReadFile(filepath.Join(n.options.Dir, "containerd/state/io.containerd.runtime.v2.task/k8s.io", id, "config.json"))
	if err != nil {
		n.t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		n.t.Fatal(err)
	}
	spec.Version = ""
	for i, m := range spec.Mounts {
		if strings.Contains(m.Source, sandbox) {
			spec.Mounts[i].Source = "of the pod: " + filepath.Base(m.Destination)
		}
	}
	kinds := map[specs.LinuxNamespaceType]string{}
	for _, ns := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.PIDNamespace, specs.MountNamespace} {
		kinds[ns] = "the node's"
	}
	for _, ns := range spec.Linux.Namespaces {
		kinds[ns.Type] = n.whose(ns)
	}
	spec.Linux.Namespaces = nil
	for _, ns := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.PIDNamespace, specs.MountNamespace, specs.CgroupNamespace} {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: ns, Path: kinds[ns]})
	}
	if s := spec.Linux.Seccomp; s != nil { // the two ways have containerd's profile of different versions
		spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: s.DefaultAction, Architectures: s.Architectures}
	}
	text, err := json.MarshalIndent(spec, "", " ")
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.NewReplacer(id, "ID", sandbox, "SANDBOX", uid, "UID").Replace(string(text))
}

// whose says of a namespace whether it is the container's own, the pod's or the node's.
func (n *node) whose(ns specs.LinuxNamespace) string {
	n.t.Helper()
	if ns.Path == "" {
		return "its own"
	}
	file := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts", specs.PIDNamespace: "pid"}[ns.Type]
	var one, nodes unix.Stat_t
	if err := unix.Stat(ns.Path, &one); err != nil {
		n.t.Fatal(err)
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/%s", os.Getpid(), file), &nodes); err != nil {
		n.t.Fatal(err)
	}
	if one.Dev == nodes.Dev && one.Ino == nodes.Ino {
		return "the node's"
	}
	return "the pod's"
}
