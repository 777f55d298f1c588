package runtimetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
)

const (
	patience  = 30 * time.Second
	lookEvery = 20 * time.Millisecond
)

// Target is a runtime to test.
type Target struct {
	// Open gives a runtime on what runs already: what it is called a second time
	// is the runtime of an agent that was started again.
	Open func(t testing.TB) runtime.Runtime
	// Image has busybox's applets in /bin, and no user.
	Image string
	// CgroupParent is a cgroup below which pods may have theirs.
	CgroupParent string
}

// suite is one run on one target.
type suite struct {
	*testing.T
	Target
	runtime.Runtime
	logs string
}

// Run tests a target. Nothing of it is left.
func Run(t *testing.T, target Target) {
	s := &suite{T: t, Target: target, Runtime: target.Open(t), logs: t.TempDir()}
	for name, test := range map[string]func(*suite){
		"ALife": testLife, "Stop": testStop, "OutOfMemory": testOutOfMemory, "Restart": testRestart, "NotStarted": testNotStarted,
		"Exec": testExec, "Logs": testLogs, "Use": testUse, "SharedProcesses": testSharedProcesses, "Absent": testAbsent,
	} {
		t.Run(name, func(t *testing.T) {
			one := *s
			one.T = t
			test(&one)
			s.Runtime = one.Runtime // it may have been opened again
		})
	}
}

// Sandbox is a pod's configuration.
func (s *suite) sandbox(name string) *cri.PodSandboxConfig {
	uid := uuid.NewString()
	dir := filepath.Join(s.logs, name)
	s.must(os.MkdirAll(dir, 0o755))
	return &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: uid}, Hostname: name, LogDirectory: dir,
		Labels: map[string]string{runtime.LabelPodUID: uid, runtime.LabelPodName: name, runtime.LabelPodNamespace: "default"},
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: filepath.Join(s.CgroupParent, "pod"+uid), SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}}},
	}
}

// run makes a sandbox that is removed at the test's end.
func (s *suite) run(config *cri.PodSandboxConfig) string {
	s.Helper()
	id, err := s.RunSandbox(s.Context(), config)
	s.must(err)
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.Context())
		if err := s.StopSandbox(ctx, id); err != nil {
			s.Error(err)
		}
		if err := s.RemoveSandbox(ctx, id); err != nil {
			s.Error(err)
		}
	})
	return id
}

func (s *suite) container(config *cri.PodSandboxConfig, script string) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"}, Image: &cri.ImageSpec{Image: s.Image}, LogPath: "main.log",
		Command: []string{"/bin/sh", "-c", script}, Labels: map[string]string{runtime.LabelContainerName: "main", runtime.LabelPodUID: config.Metadata.Uid},
		Linux: &cri.LinuxContainerConfig{Resources: &cri.LinuxContainerResources{}, SecurityContext: &cri.LinuxContainerSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}}},
	}
}

// start makes and starts a container.
func (s *suite) start(sandbox string, c *cri.ContainerConfig, config *cri.PodSandboxConfig) string {
	s.Helper()
	id, err := s.CreateContainer(s.Context(), sandbox, c, config)
	s.must(err)
	s.must(s.StartContainer(s.Context(), id))
	return id
}

// ended waits until a container has ended and says how.
func (s *suite) ended(id string) *cri.ContainerStatus {
	s.Helper()
	var last *cri.ContainerStatus
	s.await("container "+id+" to end", func() bool {
		var err error
		last, err = s.ContainerStatus(s.Context(), id)
		s.must(err)
		return last.State == cri.ContainerState_CONTAINER_EXITED
	})
	return last
}

// log gives a log's lines without their times.
func (s *suite) log(config *cri.PodSandboxConfig, name string) string {
	data, err := os.ReadFile(filepath.Join(config.LogDirectory, name))
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		at, rest, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			s.Errorf("a line of the log begins with %q", at)
		}
		out.WriteString(rest)
	}
	return out.String()
}

// says waits until a log is as wanted.
func (s *suite) says(config *cri.PodSandboxConfig, name, want string) {
	s.Helper()
	s.await(fmt.Sprintf("the log %s to be %q", name, want), func() bool { return s.log(config, name) == want })
}

func (s *suite) await(what string, done func() bool) {
	s.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for !done() {
		select {
		case <-deadline:
			s.Fatalf("waited in vain for %s", what)
		case <-ticker.C:
		}
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
