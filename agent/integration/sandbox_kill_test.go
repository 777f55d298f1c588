package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent"
)

// processes gives the processes of a pod by the names of their programs.
func (n *node) processes(p *v1.Pod) map[string]int {
	n.t.Helper()
	out := map[string]int{}
	root := filepath.Join("/sys/fs/cgroup/memory", agent.Layout(n.options).CgroupPrefix(), "pod"+string(p.UID))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range strings.Fields(string(data)) {
			name, err := os.ReadFile("/proc/" + text + "/comm")
			if err != nil {
				continue // it ended meanwhile
			}
			if out[strings.TrimSpace(string(name))], err = strconv.Atoi(text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// The pause program ends when it is asked to, and its pod gets a new sandbox.
func TestSandboxEnds(t *testing.T) {
	n := newNode(t)
	p := newPod("phoenix", "/bin/sleep", "1000")
	if *runtimeName == agent.RuntimeDirect { // only a shared PID namespace needs the pause program there
		yes := true
		p.Spec.ShareProcessNamespace = &yes
	}
	p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse("500m")}
	n.run(p)
	before, _ := n.await(p, "ready", isReady)
	shares, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/cpu", agent.Layout(n.options).CgroupPrefix(), "pod"+string(p.UID), "cpu.shares"))
	if err != nil || strings.TrimSpace(string(shares)) != "512" {
		t.Errorf("the pod's share of CPU is %s, %v", shares, err)
	}
	pid := n.processes(p)["pause"]
	if pid == 0 {
		t.Fatal("no pause program runs")
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	after, _ := n.await(p, "ready again", func(s v1.PodStatus) bool { return isReady(s) && first(s).RestartCount == 1 })
	if first(after).ContainerID == first(before).ContainerID || after.PodIP == "" {
		t.Errorf("it became %+v", after)
	}
}
