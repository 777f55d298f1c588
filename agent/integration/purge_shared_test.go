package integration

import (
	"os"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/bus/memory"
)

// A node that has a containerd together with others takes only its own things with it.
func TestPurgeOfASharedContainerd(t *testing.T) {
	owner := newNode(t)
	kept := newPod("kept", "/bin/sleep", "1000")
	before, _ := owner.await(owner.run(kept), "ready", isReady)
	client, err := cri.Dial(agent.Layout(owner.options).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := namespaces.WithNamespace(t.Context(), cri.Namespace)
	count := func() int {
		list, err := client.Daemon().ContainerService().List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	alone := count()
	for _, name := range []string{agent.RuntimeCRI, agent.RuntimeDirect} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "rk")
			if err != nil {
				t.Fatal(err)
			}
			guest := &node{t: t, bus: memory.New(time.Now), options: owner.options}
			guest.options.Dir, guest.options.RuntimeName, guest.options.Bus = dir, name, guest.bus
			guest.options.ContainerdAddress = agent.Layout(owner.options).Address()
			guest.options.CNIConfDir = agent.Layout(owner.options).ConfDir()
			guest.start()
			defer guest.halt()
			guest.await(guest.run(newPod("guest", "/bin/sleep", "1000")), "ready", isReady)
			if count() == alone {
				t.Error("the pod isn't in the shared containerd")
			}
			guest.halt()
			guest.purge()
			if n := count(); n != alone {
				t.Errorf("containerd has %d containers, not %d", n, alone)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
	}
	owner.await(owner.run(newPod("later", "/bin/sleep", "1000")), "ready", isReady)
	after, _ := owner.await(kept, "ready", isReady)
	if first(after).ContainerID != first(before).ContainerID || first(after).RestartCount != 0 {
		t.Errorf("the pod of the owner became %+v", after)
	}
}
