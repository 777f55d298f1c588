package agent

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/shutdown"
)

// A pod that ends with its node, in the kubelet's words.
const (
	reasonShutdown  = "Terminated"
	messageShutdown = "Pod was terminated in response to imminent node shutdown."
)

// Shutdown ends the node's pods, those of low priority first, each group within
// its period, and returns when they have ended or had their time. The node isn't
// ready from then on, and takes no pods, until the agent starts again. It needs
// an agent that runs.
func (a *Agent) Shutdown(ctx context.Context, periods []shutdown.Period) error {
	select {
	case <-a.began:
	case <-ctx.Done():
		return ctx.Err()
	}
	a.node.mu.Lock()
	a.node.leaving = true
	a.node.mu.Unlock()
	a.node.tell("Shutdown", "Shutdown manager detected shutdown event")
	active := a.active()
	var pods []*v1.Pod
	for _, p := range active {
		pods = append(pods, p.view.Pod)
	}
	for _, g := range shutdown.Plan(periods, pods) {
		var workers []*pod.Worker
		for _, p := range g.Pods {
			w := active[string(p.UID)].worker
			w.Evict(pod.Eviction{Reason: reasonShutdown, Message: messageShutdown, Grace: g.GraceOf(p), Disruption: true})
			workers = append(workers, w)
		}
		a.awaitEnd(ctx, workers, g.Grace+time.Second) // a second for what comes after the containers
	}
	return ctx.Err()
}
