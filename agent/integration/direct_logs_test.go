package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent"
)

// talk says 200 KB, more than fits into a fifo, whenever it is told to.
const talk = `for r in 1 2 3; do
 until [ -e /go/$r ]; do sleep 0.05; done
 i=0; while [ $i -lt 4000 ]; do echo "round $r line $i ..............................."; i=$((i+1)); done
done; sleep 1000`

// Whoever of the agent and the logger is killed, containers say all that they have to say.
func TestDirectContainersTalkOn(t *testing.T) {
	n := newNode(t)
	n.halt()
	n.options.RuntimeName = agent.RuntimeDirect
	n.start()
	p, told := newPod("talker", "/bin/sh", "-c", talk), t.TempDir()
	p.Spec.Volumes = []v1.Volume{{Name: "go", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: told}}}}
	p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "go", MountPath: "/go"}}
	n.await(n.run(p), "ready", isReady)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	say := func(round int) {
		if err := os.WriteFile(filepath.Join(told, fmt.Sprint(round)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(round int) {
		n.awaitInLog("talker", "main?tailLines=1", fmt.Sprintf("round %d line 3999 ", round))
	}

	n.killOne(filepath.Base(program)) // the logger
	say(1)
	heard(1)

	n.halt()
	n.killOne(filepath.Base(program))
	say(2)
	n.start()
	heard(2)

	n.halt()
	say(3)
	logs, err := filepath.Glob(filepath.Join(n.options.Dir, "logs", "*", "main", "0.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("the logs are %v, %v", logs, err)
	}
	n.until("its log has all, without an agent", func() bool {
		text, err := os.ReadFile(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "round 3 line 3999 ")
	})
	n.start()
	heard(3)
	at := 0
	for line := range strings.Lines(n.get("/containerLogs/default/talker/main")) {
		if want := fmt.Sprintf("round %d line %d ", at/4000+1, at%4000); !strings.HasPrefix(line, want) {
			t.Fatalf("%q comes instead of %q", line, want)
		}
		at++
	}
	if at != 3*4000 {
		t.Errorf("there are %d lines", at)
	}
}

// What an agent executed ends with it: its next run sees to that.
func TestDirectEndsTheCommandsOfAnEarlierAgent(t *testing.T) {
	n, runtimes := newRuntimes(t)
	n.options.RuntimeName = agent.RuntimeDirect
	n.start()
	p := newPod("host", "/bin/tail", "-f", "/dev/null")
	s, _ := n.await(n.run(p), "ready", isReady)
	n.halt()
	_, id, _ := strings.Cut(first(s).ContainerID, "://")
	open := runtimes[agent.RuntimeDirect]
	r, executed := open(t), make(chan error, 1)
	go func() {
		_, _, err := r.ExecSync(t.Context(), id, []string{"/bin/sleep", "1000"}, 0)
		executed <- err
	}()
	n.until("the command runs", func() bool { return n.processes(p)["sleep"] != 0 })
	open(t)
	if err := <-executed; err == nil {
		t.Error("the command ended well")
	}
	n.until("the command has ended", func() bool { return n.processes(p)["sleep"] == 0 })
	fifos, err := os.ReadDir(filepath.Join(n.options.Dir, "direct", "fifos"))
	if err != nil || len(fifos) != 1 || fifos[0].Name() != id {
		t.Errorf("the fifos are %v, %v", fifos, err)
	}
	if n.processes(p)["tail"] == 0 {
		t.Error("the container has ended, too")
	}
}
