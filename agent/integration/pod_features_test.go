package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	} {
		t.Run(name, func(t *testing.T) {
			mine := *n
			mine.t = t
			ask(t, &mine)
			n.pos = mine.pos
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
