package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/shutdown"
)

func TestNodeShutdown(t *testing.T) {
	n := newNode(t)
	n.halt()
	a, err := agent.New(n.options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the agent ended: %v", err)
		}
	})
	n.stop = func() { cancel(); wg.Wait() }

	system := int32(2000001000)
	critical := newPod("critical", "/bin/sleep", "1000")
	critical.Spec.Priority = &system
	usual := n.run(newPod("usual", "/bin/sleep", "1000"))
	n.run(critical)
	n.await(usual, "ready", isReady)
	n.await(critical, "ready", isReady)
	if err := a.Shutdown(t.Context(), shutdown.Periods(time.Minute, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	first, facts := n.await(usual, "ended", phaseIs(v1.PodFailed))
	last, later := n.await(critical, "ended", phaseIs(v1.PodFailed))
	for _, s := range []v1.PodStatus{first, last} {
		if s.Reason != "Terminated" || s.Message != "Pod was terminated in response to imminent node shutdown." ||
			!slices.ContainsFunc(s.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget }) {
			t.Errorf("a pod has ended by %s: %s", s.Reason, s.Message)
		}
	}
	if one, two := facts[len(facts)-1], later[len(later)-1]; one.Sequence > two.Sequence {
		t.Error("the critical pod has ended before the other one")
	}
	n.awaitNode("not ready", func(s v1.NodeStatus) bool {
		c := condition(s, v1.NodeReady)
		return c.Status == v1.ConditionFalse && c.Reason == "KubeletNotReady" && c.Message == "node is shutting down"
	})
	late := n.run(newPod("late", "/bin/sleep", "1000"))
	s, _ := n.await(late, "refused", phaseIs(v1.PodFailed))
	if s.Reason != "NodeShutdown" {
		t.Errorf("a pod that comes too late is refused by %s: %s", s.Reason, s.Message)
	}
}
