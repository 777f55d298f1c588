package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent"
)

// What pods can ask for, each by one pod on the same node.
func TestWhatPodsCanAskFor(t *testing.T) {
	n := newNode(t)
	for name, ask := range map[string]func(*testing.T, *node){
		"RestartRules":        askRestartRules,
		"RestartAll":          askRestartAll,
		"EphemeralContainers": askEphemeralContainers,
		"Resize":              askResize,
		"PodLevelResources":   askPodLevelResources,
		"Names":               askNames,
		"Sysctls":             askSysctls,
		"RuntimeClass":        askRuntimeClass,
		"SharedProcesses":     askSharedProcesses,
		"LastWordsFromLogs":   askLastWordsFromLogs,
		"Hooks":               askHooks,
		"StaticPods":          askStaticPods,
	} {
		t.Run(name, func(t *testing.T) {
			mine := *n
			mine.t = t
			ask(t, &mine)
			mine.t = n.t
			*n = mine
		})
	}
}

func rules(action v1.ContainerRestartRuleAction, code int32) (*v1.ContainerRestartPolicy, []v1.ContainerRestartRule) {
	never := v1.ContainerRestartPolicyNever
	return &never, []v1.ContainerRestartRule{{Action: action, ExitCodes: &v1.ContainerRestartRuleOnExitCodes{Operator: v1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{code}}}}
}

// withFolder gives all containers of a pod a folder /data that outlives them.
func withFolder(p *v1.Pod) *v1.Pod {
	p.Spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	for _, list := range [][]v1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
		}
	}
	return p
}

func askRestartRules(t *testing.T, n *node) {
	p := newPod("rules", "/bin/sh", "-c", "test -e /data/x && exit 5; touch /data/x; exit 42")
	p.Spec.RestartPolicy = v1.RestartPolicyAlways
	p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = rules(v1.ContainerRestartRuleActionRestart, 42)
	n.run(withFolder(p))
	s, _ := n.await(p, "failed", phaseIs(v1.PodFailed))
	if c := first(s); c.RestartCount != 1 || c.State.Terminated == nil || c.State.Terminated.ExitCode != 5 || c.LastTerminationState.Terminated.ExitCode != 42 {
		t.Errorf("it became %+v", c)
	}
}

func askRestartAll(t *testing.T, n *node) {
	p := newPod("all", "/bin/sh", "-c", "test -e /data/x && exec /bin/sleep 1000; touch /data/x; exit 42")
	p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = rules(v1.ContainerRestartRuleActionRestartAllContainers, 42)
	other, setup := p.Spec.Containers[0], p.Spec.Containers[0]
	other.Name, other.Command, other.RestartPolicy, other.RestartPolicyRules = "other", []string{"/bin/sleep", "1000"}, nil, nil
	setup.Name, setup.Command, setup.RestartPolicy, setup.RestartPolicyRules = "setup", []string{"/bin/true"}, nil, nil
	p.Spec.Containers, p.Spec.InitContainers = append(p.Spec.Containers, other), []v1.Container{setup}
	n.run(withFolder(p))
	s, _ := n.await(p, "ready after a restart", func(s v1.PodStatus) bool { return isReady(s) && first(s).RestartCount == 1 })
	if s.ContainerStatuses[1].RestartCount != 1 || s.InitContainerStatuses[0].RestartCount != 1 || first(s).LastTerminationState.Terminated.ExitCode != 42 {
		t.Errorf("it became %+v", s)
	}
}

func askEphemeralContainers(t *testing.T, n *node) {
	p := n.run(newPod("debugged", "/bin/sleep", "1000"))
	n.await(p, "ready", isReady)
	p.Generation++
	p.Spec.EphemeralContainers = []v1.EphemeralContainer{{TargetContainerName: "main", EphemeralContainerCommon: v1.EphemeralContainerCommon{
		Name: "debugger", Image: busybox, ImagePullPolicy: v1.PullIfNotPresent, Command: []string{"/bin/sh", "-c", "cat /proc/1/cmdline; exit 3"}}}}
	n.run(p)
	s, _ := n.await(p, "looked at", func(s v1.PodStatus) bool {
		return len(s.EphemeralContainerStatuses) == 1 && s.EphemeralContainerStatuses[0].State.Terminated != nil
	})
	if e := s.EphemeralContainerStatuses[0]; e.State.Terminated.ExitCode != 3 || !isReady(s) {
		t.Errorf("it became %+v", s)
	}
	if got := n.get("/containerLogs/default/debugged/debugger"); got != "/bin/sleep\x001000\x00" {
		t.Errorf("its process 1 is %q", got)
	}
}

// cgroup reads a file of a pod's cgroup, by its name in the kernel's first interface.
func (n *node) cgroup(p *v1.Pod, controller, file, container string) string {
	n.t.Helper()
	dir := filepath.Join("/sys/fs/cgroup", controller, agent.Layout(n.options).CgroupPrefix(), "pod"+string(p.UID), container)
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// bounds are the CPU shares, CPU quota and memory limit of a pod or of one of its containers.
func (n *node) bounds(p *v1.Pod, container string) string {
	n.t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		quota, _, _ := strings.Cut(n.cgroup(p, "", "cpu.max", container), " ")
		return quota + " " + n.cgroup(p, "", "memory.max", container)
	}
	return n.cgroup(p, "cpu", "cpu.cfs_quota_us", container) + " " + n.cgroup(p, "memory", "memory.limit_in_bytes", container)
}

func limits(cpu, memory string) v1.ResourceRequirements {
	list := v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}
	return v1.ResourceRequirements{Requests: list, Limits: list}
}

func askResize(t *testing.T, n *node) {
	p := newPod("resized", "/bin/sleep", "1000")
	p.Spec.Containers[0].Resources, p.Status.QOSClass = limits("100m", "32Mi"), v1.PodQOSGuaranteed
	n.run(p)
	before, _ := n.await(p, "ready", isReady)
	_, id, _ := strings.Cut(first(before).ContainerID, "://")
	for _, to := range []struct{ cpu, memory, bounds string }{{"200m", "64Mi", "20000 67108864"}, {"150m", "16Mi", "15000 16777216"}} {
		p.Generation++
		p.Spec.Containers[0].Resources = limits(to.cpu, to.memory)
		n.run(p)
		s, _ := n.await(p, "resized to "+to.memory, func(s v1.PodStatus) bool {
			return first(s).Resources.Limits.Memory().String() == to.memory && s.ObservedGeneration == p.Generation
		})
		if first(s).ContainerID != first(before).ContainerID {
			t.Errorf("it was restarted: %+v", first(s))
		}
		for _, container := range []string{"", id} {
			if got := n.bounds(p, container); got != to.bounds {
				t.Errorf("the bounds of %q are %s, not %s", container, got, to.bounds)
			}
		}
	}
}

func askPodLevelResources(t *testing.T, n *node) {
	p := newPod("whole", "/bin/sleep", "1000")
	whole := limits("250m", "48Mi")
	p.Spec.Resources, p.Status.QOSClass = &whole, v1.PodQOSGuaranteed
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	_, id, _ := strings.Cut(first(s).ContainerID, "://")
	for _, container := range []string{"", id} {
		if got := n.bounds(p, container); got != "25000 50331648" {
			t.Errorf("the bounds of %q are %s", container, got)
		}
	}
}

func askNames(t *testing.T, n *node) {
	p := newPod("named", "/bin/sh", "-c", "hostname; cat /etc/hosts /etc/resolv.conf; echo end; sleep 1000")
	yes, two := true, "2"
	p.Spec.Hostname, p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = "h", "sub", &yes
	p.Spec.HostAliases = []v1.HostAlias{{IP: "10.1.2.3", Hostnames: []string{"far", "away"}}}
	p.Spec.DNSPolicy = v1.DNSNone
	p.Spec.DNSConfig = &v1.PodDNSConfig{Nameservers: []string{"10.9.9.9"}, Searches: []string{"here.test"}, Options: []v1.PodDNSConfigOption{{Name: "ndots", Value: &two}}}
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	n.awaitInLog("named", "main", "end\n")
	got := n.get("/containerLogs/default/named/main")
	for _, want := range []string{"h.sub.default.svc.cluster.local\n# Kubernetes-managed hosts file.\n", s.PodIP + "\th.sub.default.svc.cluster.local\th\n",
		"# Entries added by HostAliases.\n10.1.2.3\tfar\taway\n", "search here.test\nnameserver 10.9.9.9\noptions ndots:2\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
}

// awaitInLog waits until a container's log contains a text.
func (n *node) awaitInLog(pod, container, want string) {
	n.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := n.get("/containerLogs/default/" + pod + "/" + container)
		if strings.Contains(got, want) {
			return
		}
		select {
		case <-deadline:
			n.t.Fatalf("the log of %s lacks %q: %s", pod, want, got)
		case <-tick.C:
		}
	}
}

func askSysctls(t *testing.T, n *node) {
	p := newPod("tuned", "/bin/sh", "-c", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; sleep 1000")
	p.Spec.SecurityContext = &v1.PodSecurityContext{Sysctls: []v1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "80"}}}
	n.run(p)
	n.awaitInLog("tuned", "main", "80\n")
	q := newPod("unsafe", "/bin/true")
	q.Spec.SecurityContext = &v1.PodSecurityContext{Sysctls: []v1.Sysctl{{Name: "kernel.msgmax", Value: "65536"}}}
	n.run(q)
	s, _ := n.await(q, "refused", phaseIs(v1.PodFailed))
	if s.Reason != "SysctlForbidden" || s.Message != `Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted` {
		t.Errorf("it failed for %s: %s", s.Reason, s.Message)
	}
}

func askRuntimeClass(t *testing.T, n *node) {
	p, q := newPod("classed", "/bin/sleep", "1000"), newPod("classless", "/bin/true")
	good, bad := "runc", "absent"
	p.Spec.RuntimeClassName, q.Spec.RuntimeClassName = &good, &bad
	n.run(p)
	n.run(q)
	n.await(p, "ready", isReady)
	n.awaitTold(q, "Failed to create pod sandbox", `no runtime for "absent" is configured`)
}

// awaitTold waits until a fact about the pod has all parts in its note.
func (n *node) awaitTold(p *v1.Pod, parts ...string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	for batch, err := range n.bus.Log().Follow(ctx, 1, "fact.n1.core.pods."+p.Namespace+"."+p.Name) {
		if err != nil {
			break
		}
		if tells(batch, parts...) {
			return
		}
	}
	n.t.Fatalf("no fact about %s tells %q", p.Name, parts)
}

func askSharedProcesses(t *testing.T, n *node) {
	p := newPod("shared", "/bin/sh", "-c", "until cat /proc/[0-9]*/cmdline | grep -q 12345; do /bin/sleep 0.1; done; echo seen; sleep 1000")
	yes := true
	p.Spec.ShareProcessNamespace = &yes
	other := newPod("", "/bin/sleep", "12345").Spec.Containers[0]
	other.Name = "other"
	p.Spec.Containers = append(p.Spec.Containers, other)
	n.run(p)
	n.awaitInLog("shared", "main", "seen\n")
}

func askLastWordsFromLogs(t *testing.T, n *node) {
	p := newPod("wordy", "/bin/sh", "-c", "echo first; echo the last words; exit 1")
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	p.Spec.Containers[0].TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
	n.run(p)
	s, _ := n.await(p, "failed", phaseIs(v1.PodFailed))
	if got := first(s).State.Terminated; got == nil || got.Message != "first\nthe last words\n" {
		t.Errorf("it ended as %+v", got)
	}
}

func askHooks(t *testing.T, n *node) {
	p := withFolder(newPod("hooked", "/bin/sh", "-c", "until test -e /data/started; do /bin/sleep 0.1; done; echo started; exec /bin/sleep 1000"))
	p.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"/bin/touch", "/data/started"}}}}
	n.run(p)
	n.awaitInLog("hooked", "main", "started\n")
	q := newPod("unhooked", "/bin/sleep", "1000")
	q.Spec.RestartPolicy = v1.RestartPolicyNever
	q.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PostStart: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"/bin/false"}}}}
	n.run(q)
	_, facts := n.await(q, "failed", phaseIs(v1.PodFailed))
	if !tells(facts, "PostStartHook failed") && !tells(facts, "FailedPostStartHook") {
		t.Error("no fact tells that the hook failed")
	}
}
