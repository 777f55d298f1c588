package runtimetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// forever goes on until it is told to end.
const forever = "trap 'exit 0' TERM; while true; do /bin/sleep 0.05; done"

func testLife(s *suite) {
	config := s.sandbox("life")
	box := s.run(config)
	status, err := s.SandboxStatus(s.Context(), box)
	s.must(err)
	if status.State != cri.PodSandboxState_SANDBOX_READY || status.Network.GetIp() == "" || status.Metadata.Uid != config.Metadata.Uid || status.CreatedAt == 0 {
		s.Errorf("the sandbox is %v", status)
	}
	id, err := s.CreateContainer(s.Context(), box, s.container(config, "echo out; echo bad >&2; exit 3"), config)
	s.must(err)
	s.is(config, id, cri.ContainerState_CONTAINER_CREATED)
	told := s.events()
	s.must(s.StartContainer(s.Context(), id))
	told(id)
	end := s.ended(id)
	if end.ExitCode != 3 || end.Reason != "Error" || end.StartedAt < end.CreatedAt || end.FinishedAt < end.CreatedAt {
		s.Errorf("it ended as %v", end)
	}
	s.await("both streams in the log", func() bool {
		log := s.log(config, "main.log")
		return strings.Contains(log, "stdout F out\n") && strings.Contains(log, "stderr F bad\n")
	})
	s.is(config, id, cri.ContainerState_CONTAINER_EXITED)
	for range 2 {
		s.must(s.StopContainer(s.Context(), id, time.Second))
		s.must(s.RemoveContainer(s.Context(), id))
		s.must(s.StopSandbox(s.Context(), box))
	}
	if status, err = s.SandboxStatus(s.Context(), box); err != nil || status.State != cri.PodSandboxState_SANDBOX_NOTREADY {
		s.Errorf("the stopped sandbox is %v, %v", status, err)
	}
	for range 2 {
		s.must(s.RemoveSandbox(s.Context(), box))
	}
	if left, err := s.List(s.Context(), config.Metadata.Uid); err != nil || len(left) != 0 {
		s.Errorf("what was removed is listed: %v, %v", left, err)
	}
}

// is checks a container's state where it is listed.
func (s *suite) is(config *cri.PodSandboxConfig, id string, want cri.ContainerState) {
	s.Helper()
	list, err := s.List(s.Context(), config.Metadata.Uid)
	s.must(err)
	if len(list) != 1 || len(list[0].Containers) != 1 || list[0].Containers[0].Id != id || list[0].Containers[0].State != want {
		s.Errorf("the list has %v, not container %s that is %s", list, id, want)
	}
}

// events listens until the function that it gives has seen an id.
func (s *suite) events() (await func(id string)) {
	ctx, cancel := context.WithCancel(s.Context())
	seen := make(chan string, 100)
	var listening sync.WaitGroup
	listening.Go(func() { s.Events(ctx, func(e runtime.Event) { seen <- e.ID }) }) //nolint:errcheck // it ends with ctx
	s.Cleanup(func() { cancel(); listening.Wait() })
	return func(id string) {
		s.Helper()
		deadline := time.After(patience)
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case got := <-seen:
				if got == id {
					return
				}
			case <-ticker.C: // it may have ended before anybody listened: then it shows
				if st, err := s.ContainerStatus(s.Context(), id); err == nil && st.State == cri.ContainerState_CONTAINER_EXITED {
					return
				}
			case <-deadline:
				s.Fatalf("nobody told of %s", id)
			}
		}
	}
}

func testStop(s *suite) {
	config := s.sandbox("stop")
	box := s.run(config)
	polite := s.container(config, "trap 'exit 0' TERM; echo up; while true; do /bin/sleep 0.05; done")
	id := s.start(box, polite, config)
	s.says(config, "main.log", "stdout F up\n")
	s.must(s.StopContainer(s.Context(), id, patience))
	if end := s.ended(id); end.ExitCode != 0 || end.Reason != "Completed" {
		s.Errorf("what was asked to stop ended as %v", end)
	}
	deaf := s.container(config, "trap '' TERM; echo up; while true; do /bin/sleep 0.05; done")
	deaf.Metadata.Name, deaf.LogPath = "deaf", "deaf.log"
	id = s.start(box, deaf, config)
	s.says(config, "deaf.log", "stdout F up\n")
	s.must(s.StopContainer(s.Context(), id, time.Second))
	if end := s.ended(id); end.ExitCode != 137 {
		s.Errorf("what didn't listen ended as %v", end)
	}
}

func testOutOfMemory(s *suite) {
	config := s.sandbox("hungry")
	c := s.container(config, "a=x; while true; do a=$a$a; done")
	c.Linux.Resources.MemoryLimitInBytes = 16 << 20
	id := s.start(s.run(config), c, config)
	if end := s.ended(id); end.ExitCode != 137 || end.Reason != "OOMKilled" {
		s.Errorf("it ended as %v", end)
	}
}

func testRestart(s *suite) {
	config := s.sandbox("restart")
	box := s.run(config)
	short := s.container(config, "exit 7")
	short.Metadata.Name, short.LogPath = "short", "short.log"
	ended := s.start(box, short, config)
	before := s.ended(ended)
	long := s.start(box, s.container(config, "echo one; while [ ! -e /go ]; do /bin/sleep 0.05; done; echo two; exit 5"), config)
	s.says(config, "main.log", "stdout F one\n")

	s.Runtime = s.Open(s)
	again, err := s.ContainerStatus(s.Context(), ended)
	s.must(err)
	if again.ExitCode != 7 || again.StartedAt != before.StartedAt || again.FinishedAt != before.FinishedAt || again.Reason != before.Reason || again.Metadata.Name != "short" {
		s.Errorf("what had ended as %v became %v", before, again)
	}
	running, err := s.ContainerStatus(s.Context(), long)
	s.must(err)
	if running.State != cri.ContainerState_CONTAINER_RUNNING {
		s.Errorf("what ran is %v", running)
	}
	if status, err := s.SandboxStatus(s.Context(), box); err != nil || status.State != cri.PodSandboxState_SANDBOX_READY || status.Network.GetIp() == "" {
		s.Errorf("the sandbox became %v, %v", status, err)
	}
	told := s.events()
	if _, code, err := s.ExecSync(s.Context(), long, []string{"/bin/touch", "/go"}, patience); err != nil || code != 0 {
		s.Errorf("a command in it gave %d, %v", code, err)
	}
	told(long)
	if end := s.ended(long); end.ExitCode != 5 {
		s.Errorf("it ended as %v", end)
	}
	s.says(config, "main.log", "stdout F one\nstdout F two\n")
}

func testNotStarted(s *suite) {
	config := s.sandbox("broken")
	c := s.container(config, "")
	c.Command = []string{"/absent"}
	id, err := s.CreateContainer(s.Context(), s.run(config), c, config)
	s.must(err)
	if err := s.StartContainer(s.Context(), id); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		s.Errorf("a program that isn't there gives %v", err)
	}
	if end := s.ended(id); end.ExitCode != 128 || end.Reason != "StartError" {
		s.Errorf("it is %v", end)
	}
}

func testExec(s *suite) {
	config := s.sandbox("exec")
	id := s.start(s.run(config), s.container(config, forever), config)
	out, code, err := s.ExecSync(s.Context(), id, []string{"/bin/sh", "-c", "echo a; echo b >&2; exit 4"}, patience)
	if err != nil || code != 4 || string(out) != "a\nb\n" {
		s.Errorf("it said %q and ended with %d, %v", out, code, err)
	}
	if _, _, err := s.ExecSync(s.Context(), id, []string{"/bin/sleep", "1000"}, time.Second); !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("what takes too long gives %v", err)
	}
	if _, _, err := s.ExecSync(s.Context(), id, []string{"/absent"}, patience); err == nil {
		s.Error("a program that isn't there gives no error")
	}
}

func testLogs(s *suite) {
	config := s.sandbox("logs")
	id := s.start(s.run(config), s.container(config, "echo one; while [ ! -e /go ]; do /bin/sleep 0.05; done; echo two; printf unfinished"), config)
	s.says(config, "main.log", "stdout F one\n")
	path := filepath.Join(config.LogDirectory, "main.log")
	s.must(os.Rename(path, path+".1"))
	s.must(s.ReopenLog(s.Context(), id))
	if _, _, err := s.ExecSync(s.Context(), id, []string{"/bin/touch", "/go"}, patience); err != nil {
		s.Error(err)
	}
	s.ended(id)
	s.await("the rest in the new log", func() bool {
		log := s.log(config, "main.log")
		return strings.HasPrefix(log, "stdout F two\n") && strings.HasSuffix(log, " unfinished\n")
	})
	if got := s.log(config, "main.log.1"); got != "stdout F one\n" {
		s.Errorf("the old log is %q", got)
	}
}

func testUse(s *suite) {
	config := s.sandbox("use")
	c := s.container(config, forever)
	c.Linux.Resources.MemoryLimitInBytes = 64 << 20
	id := s.start(s.run(config), c, config)
	all, err := s.Stats(s.Context())
	s.must(err)
	found := false
	for _, one := range all {
		if one.Attributes.Id != id {
			continue
		}
		found = true
		if one.Attributes.Labels[runtime.LabelContainerName] != "main" || one.Cpu.GetUsageCoreNanoSeconds() == nil || one.Memory.GetWorkingSetBytes().GetValue() == 0 {
			s.Errorf("it uses %v", one)
		}
	}
	if !found {
		s.Errorf("the container isn't among %d", len(all))
	}
	s.must(s.UpdateResources(s.Context(), id, &cri.LinuxContainerResources{MemoryLimitInBytes: 96 << 20}))
	status, err := s.ContainerStatus(s.Context(), id)
	s.must(err)
	if got := status.GetResources().GetLinux().GetMemoryLimitInBytes(); got != 96<<20 && status.GetResources() != nil {
		s.Errorf("it may use %d bytes", got)
	}
}

func testSharedProcesses(s *suite) {
	config := s.sandbox("shared")
	config.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	box := s.run(config)
	one, two := s.container(config, "exec /bin/sleep 4321"), s.container(config, forever)
	two.Metadata.Name, two.LogPath = "two", "two.log"
	one.Linux.SecurityContext.NamespaceOptions.Pid, two.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD, cri.NamespaceMode_POD
	s.start(box, one, config)
	id := s.start(box, two, config)
	s.await("one container's process in the other", func() bool {
		out, _, err := s.ExecSync(s.Context(), id, []string{"/bin/sh", "-c", "cat /proc/[0-9]*/cmdline"}, patience)
		s.must(err)
		return strings.Contains(string(out), "4321")
	})
}

func testAbsent(s *suite) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for what, err := range map[string]error{
		"stop a container": s.StopContainer(s.Context(), id, 0), "remove a container": s.RemoveContainer(s.Context(), id),
		"stop a sandbox": s.StopSandbox(s.Context(), id), "remove a sandbox": s.RemoveSandbox(s.Context(), id),
	} {
		if err != nil {
			s.Errorf("%s that isn't there: %v", what, err)
		}
	}
	if _, err := s.ContainerStatus(s.Context(), id); !errors.Is(err, events.ErrNotFound) {
		s.Errorf("the status of nothing is %v", err)
	}
	if _, err := s.SandboxStatus(s.Context(), id); !errors.Is(err, events.ErrNotFound) {
		s.Errorf("the status of no sandbox is %v", err)
	}
	if status, err := s.Status(s.Context()); err != nil || !status.RuntimeReady || !status.NetworkReady {
		s.Errorf("the runtime is %+v, %v", status, err)
	}
}
