package integration

import (
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestContainerdKilled(t *testing.T) {
	n := newNode(t)
	p := n.run(newPod("steady", "/bin/sh", "-c", "echo once; trap 'exit 0' TERM; while true; do /bin/sleep 0.1; done"))
	before, _ := n.await(p, "ready", isReady)
	n.killContainerd()
	q := n.run(newPod("later", "/bin/sleep", "1000")) // needs a containerd that was started again
	n.await(q, "ready", isReady)
	after, _ := n.await(p, "ready", isReady)
	if first(after).ContainerID != first(before).ContainerID {
		t.Errorf("the container became %+v", first(after))
	}
	if first(after).RestartCount != 0 || after.Phase != v1.PodRunning {
		t.Errorf("the pod became %+v", after)
	}
}
