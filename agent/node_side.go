package agent

import (
	"context"
	"fmt"
	"maps"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/pod"
)

// side is what this node has to say when pods start.
type side struct{ a *Agent }

var _ pod.NodeSide = side{}

// Admit implements pod.NodeSide.
func (s side) Admit(ctx context.Context, p *v1.Pod) *pod.Refusal {
	if s.a.node.leaves() {
		return &pod.Refusal{Reason: "NodeShutdown", Message: "Pod was rejected as the node is shutting down."}
	}
	if why := eviction.Admit(s.a.node.pressed(), p, pod.QOS(p)); why != "" {
		return &pod.Refusal{Reason: eviction.Reason, Message: why}
	}
	if err := s.a.devices.Admit(ctx, p); err != nil {
		return &pod.Refusal{Reason: "UnexpectedAdmissionError", Message: fmt.Sprintf("Allocate failed due to %v, which is unexpected", err)}
	}
	return nil
}

// Equip implements pod.NodeSide.
func (s side) Equip(ctx context.Context, p *v1.Pod, c *v1.Container) (pod.Equipment, error) {
	e, err := s.a.devices.Equip(ctx, string(p.UID), c.Name)
	return pod.Equipment{Envs: e.Envs, Mounts: e.Mounts, Devices: e.Devices, CDI: e.CDI, Annotations: e.Annotations}, err
}

// Release implements pod.NodeSide.
func (s side) Release(_ context.Context, uid string) error { return s.a.devices.Release(uid) }

// runDevices serves the node's device plugins.
func (a *Agent) runDevices(ctx context.Context) error {
	if a.devices == nil {
		<-ctx.Done()
		return nil
	}
	return a.devices.Run(ctx)
}

// withDevices adds what device plugins offer to what the node has.
func (a *Agent) withDevices() (capacity, allocatable v1.ResourceList) {
	if a.devices == nil {
		return a.node.capacity, a.node.allocatable
	}
	has, gives := a.devices.Resources()
	if len(has) == 0 {
		return a.node.capacity, a.node.allocatable
	}
	capacity, allocatable = a.node.capacity.DeepCopy(), a.node.allocatable.DeepCopy()
	maps.Copy(capacity, has)
	maps.Copy(allocatable, gives)
	return capacity, allocatable
}
