package agent

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/events"
)

const proc machine.Proc = "/proc"

// pressures are the conditions of a node that is short of something, in the
// kubelet's words.
var pressures = []struct {
	condition                          v1.NodeConditionType
	good, goodMessage, bad, badMessage string
}{
	{v1.NodeMemoryPressure, "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"},
	{v1.NodeDiskPressure, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "KubeletHasDiskPressure", "kubelet has disk pressure"},
	{v1.NodePIDPressure, "KubeletHasSufficientPID", "kubelet has sufficient PID available", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"},
}

// pressureSteps tells which pressures came and went between two reports.
func pressureSteps(node string, before, after *nodePatch) (out []events.Step) {
	for _, c := range after.Conditions {
		for _, had := range before.Conditions {
			if c.Type != had.Type || c.Status == had.Status || had.Status == v1.ConditionUnknown && c.Type != v1.NodeReady {
				continue
			}
			reason, why := "Node"+strings.TrimPrefix(c.Reason, "Kubelet"), ""
			if c.Type == v1.NodeReady && c.Status != v1.ConditionTrue {
				why = " (" + c.Message + ")"
			}
			out = append(out, events.Step{Reason: reason, Note: fmt.Sprintf("Node %s status is now: %s%s", node, reason, why)})
		}
	}
	return out
}

// tell has something said with the node's next report, which comes at once.
func (n *nodeState) tell(reason, note string) {
	n.mu.Lock()
	n.steps = append(n.steps, events.Step{Reason: reason, Note: note})
	n.mu.Unlock()
	n.poke()
}

func (n *nodeState) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *nodeState) takeSteps() []events.Step {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.steps
	n.steps = nil
	return out
}

// press takes in which pressures there are now.
func (n *nodeState) press(conditions []v1.NodeConditionType) {
	n.mu.Lock()
	same := slices.Equal(n.conditions, conditions)
	n.conditions = conditions
	n.mu.Unlock()
	if !same {
		n.poke()
	}
}

func (n *nodeState) pressed() []v1.NodeConditionType {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conditions
}

func (n *nodeState) has(c v1.NodeConditionType) bool { return slices.Contains(n.pressed(), c) }

func (n *nodeState) leaves() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaving
}

func sameResources(a, b v1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, q := range a {
		if other, ok := b[name]; !ok || q.Cmp(other) != 0 {
			return false
		}
	}
	return true
}
