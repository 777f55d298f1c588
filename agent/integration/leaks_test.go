package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent"
)

const shimSockets = "/run/containerd/s"

// traces gives everything on the machine that a node of this folder made and
// that should have gone with it. sockets are those that shims had before.
func (n *node) traces(sockets []string) []string {
	n.t.Helper()
	dir := n.options.Dir
	var out []string
	found := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	check := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			n.t.Error(err)
		}
	}

	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	check(err)
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), dir) {
			found("process %s", strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	check(err)
	for _, m := range mounts {
		found("mount %s", m.Mountpoint)
	}
	links, err := net.Interfaces()
	check(err)
	for _, l := range links {
		if strings.HasPrefix(l.Name, "veth") {
			found("link %s", l.Name)
		}
	}
	rules, err := exec.Command("iptables-save").CombinedOutput()
	check(err)
	ofPod := regexp.MustCompile(`^(:|-A )CNI-(DN-)?[0-9a-f]{20,}`)
	for line := range strings.Lines(string(rules)) {
		if ofPod.MatchString(line) {
			found("rule %s", strings.TrimSpace(line))
		}
	}
	layout := agent.Layout(n.options)
	for _, pattern := range []string{"/sys/fs/cgroup" + layout.CgroupPrefix(), "/sys/fs/cgroup/*" + layout.CgroupPrefix(),
		"/run/reckon-" + strings.TrimPrefix(layout.CgroupPrefix(), "/reckon-"), dir + "/*"} {
		paths, err := filepath.Glob(pattern)
		check(err)
		for _, path := range paths {
			found("folder or file %s", path)
		}
	}
	for _, s := range staleSockets() {
		if !slices.Contains(sockets, s) {
			found("socket %s", s)
		}
	}
	return out
}

// staleSockets are sockets of shims that nobody listens on any more.
func staleSockets() []string {
	entries, err := os.ReadDir(shimSockets)
	if err != nil {
		return nil // there never was a shim
	}
	var out []string
	for _, e := range entries {
		path := filepath.Join(shimSockets, e.Name())
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			out = append(out, path)
		}
	}
	return out
}

func (n *node) purge() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := agent.Purge(ctx, n.options); err != nil {
		n.t.Errorf("purge: %v", err)
	}
}

// killContainerd ends the private containerd as nobody should.
func (n *node) killContainerd() {
	n.t.Helper()
	data, err := os.ReadFile(filepath.Join(n.options.Dir, "containerd", "containerd.pid"))
	if err != nil {
		n.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		n.t.Fatal(err)
	}
}

// Whatever was under way when everything was killed, purge leaves nothing: the
// cleanup of every test looks.
func TestPurgeAfterEverythingWasKilled(t *testing.T) {
	for _, pods := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(pods), func(t *testing.T) {
			n := newNode(t)
			first := n.run(newPod("first", "/bin/sleep", "1000"))
			n.await(first, "ready", isReady)
			for i := range pods {
				n.run(newPod(fmt.Sprintf("late-%d", i), "/bin/sleep", "1000"))
			}
			// The last of them is somewhere on its way when one of them runs.
			n.await(n.run(newPod("one", "/bin/sleep", "1000")), "ready", isReady)
			n.run(newPod("latest", "/bin/sleep", "1000"))
			n.killContainerd()
			n.halt()
			process := "pause"
			if *runtimeName == agent.RuntimeDirect { // there is none
				process = "sleep"
			}
			n.killOne(process)
			n.killOne("containerd-shim-runc-v2")
		})
	}
}

func TestPurgeWhenContainerdDoesNotStartAnyMore(t *testing.T) {
	n := newNode(t)
	p := newPod("orphan", "/bin/sleep", "1000")
	p.Spec.Volumes = []v1.Volume{{Name: "m", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory}}}}
	p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "m", MountPath: "/m"}}
	n.await(n.run(p), "ready", isReady)
	n.halt()
	n.killContainerd()
	database := filepath.Join(n.options.Dir, "containerd", "root", "io.containerd.metadata.v1.bolt", "meta.db")
	if err := os.WriteFile(database, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// killOne kills one process of this node by its program's name.
func (n *node) killOne(name string) {
	n.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		n.t.Fatal(err)
	}
	prefix := agent.Layout(n.options).CgroupPrefix()
	for _, path := range all {
		comm, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(name, strings.TrimSpace(string(comm))) {
			continue
		}
		proc := filepath.Dir(path)
		cgroup, err1 := os.ReadFile(proc + "/cgroup")
		cmdline, err2 := os.ReadFile(proc + "/cmdline")
		if err1 != nil || err2 != nil || !strings.Contains(string(cgroup), prefix) && !strings.Contains(string(cmdline), n.options.Dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil {
			n.t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			n.t.Fatal(err)
		}
		return
	}
	n.t.Fatalf("no process %s of this node runs", name)
}
