package agent

import (
	"context"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/pod"
)

// side is what this node has to say when pods start.
type side struct{ a *Agent }

var _ pod.NodeSide = side{}

// Admit implements pod.NodeSide.
func (s side) Admit(_ context.Context, p *v1.Pod) *pod.Refusal {
	if s.a.node.leaves() {
		return &pod.Refusal{Reason: "NodeShutdown", Message: "Pod was rejected as the node is shutting down."}
	}
	if why := eviction.Admit(s.a.node.pressed(), p, pod.QOS(p)); why != "" {
		return &pod.Refusal{Reason: eviction.Reason, Message: why}
	}
	return nil
}

// Equip implements pod.NodeSide.
func (s side) Equip(context.Context, *v1.Pod, *v1.Container) (pod.Equipment, error) {
	return pod.Equipment{}, nil
}

// Release implements pod.NodeSide.
func (s side) Release(context.Context, string) error { return nil }
