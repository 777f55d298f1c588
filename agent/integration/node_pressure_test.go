package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent/eviction"
)

// awaitNode folds the node's facts until its status is as wanted.
func (n *node) awaitNode(what string, want func(v1.NodeStatus) bool) v1.NodeStatus {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	var last v1.NodeStatus
	for batch, err := range n.bus.Log().Follow(ctx, 1, "fact.n1.core.nodes._.n1") {
		if err != nil {
			break
		}
		for _, e := range batch {
			var data struct{ Status v1.NodeStatus }
			if err := json.Unmarshal(e.Data, &data); err != nil {
				n.t.Fatal(err)
			}
			last = data.Status
			if want(last) {
				return last
			}
		}
	}
	text, _ := json.MarshalIndent(last, "", " ")
	n.t.Fatalf("the node is not %s; its last status: %s", what, text)
	return last
}

func condition(s v1.NodeStatus, t v1.NodeConditionType) v1.NodeCondition {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c
		}
	}
	return v1.NodeCondition{}
}

func TestNodeUnderPressure(t *testing.T) {
	n := newNode(t)
	n.halt()
	n.options.Upkeep.EvictionPeriod = 100 * time.Millisecond
	n.options.Upkeep.SystemReserved = v1.ResourceList{v1.ResourceMemory: resource.MustParse("1Gi"), v1.ResourceCPU: resource.MustParse("100m")}
	n.start()

	size := resource.MustParse("1Mi")
	greedy := newPod("greedy", "/bin/sh", "-c", "cat /bin/sh > /data/a; cat /bin/sh > /data/b; sleep 1000")
	greedy.Spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{SizeLimit: &size}}}}
	greedy.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "data", MountPath: "/data"}}
	n.run(greedy)
	s, _ := n.await(greedy, "evicted", phaseIs(v1.PodFailed))
	if want := `Usage of EmptyDir volume "data" exceeds the limit "1Mi". `; s.Reason != "Evicted" || s.Message != want {
		t.Errorf("the pod that used too much has failed by %s: %s", s.Reason, s.Message)
	}
	steady := n.run(newPod("steady", "/bin/sleep", "1000"))
	n.await(steady, "ready", isReady)
	status := n.awaitNode("without pressure", func(s v1.NodeStatus) bool { return len(s.Conditions) > 0 })
	if c := condition(status, v1.NodeMemoryPressure); c.Status != v1.ConditionFalse || c.Reason != "KubeletHasSufficientMemory" {
		t.Errorf("its memory is %+v", c)
	}
	has, leaves := status.Capacity[v1.ResourceMemory], status.Allocatable[v1.ResourceMemory]
	if has.Value()-leaves.Value() < 1<<30 {
		t.Errorf("of %s it gives %s to pods", has.String(), leaves.String())
	}

	n.halt()
	n.options.Upkeep.Eviction = eviction.Settings{Hard: map[string]string{"memory.available": "100Ti"}} // more than there can be
	n.start()
	s, facts := n.await(steady, "evicted", phaseIs(v1.PodFailed))
	if s.Reason != "Evicted" || !strings.HasPrefix(s.Message, "The node was low on resource: memory. Threshold quantity: 100Ti, available: ") {
		t.Errorf("under pressure it has failed by %s: %s", s.Reason, s.Message)
	}
	if last := facts[len(facts)-1]; !strings.Contains(last.Reason, "Evicted") {
		t.Errorf("its last fact is %q", last.Reason)
	}
	status = n.awaitNode("under pressure", func(s v1.NodeStatus) bool { return condition(s, v1.NodeMemoryPressure).Status == v1.ConditionTrue })
	if c := condition(status, v1.NodeMemoryPressure); c.Reason != "KubeletHasInsufficientMemory" || c.Message != "kubelet has insufficient memory available" {
		t.Errorf("its memory is %+v", c)
	}
	late := n.run(newPod("late", "/bin/sleep", "1000"))
	s, _ = n.await(late, "refused", phaseIs(v1.PodFailed))
	if s.Reason != "Evicted" || s.Message != "Pod was rejected: The node had condition: [MemoryPressure]. " {
		t.Errorf("a pod without requests is refused by %s: %s", s.Reason, s.Message)
	}
}
