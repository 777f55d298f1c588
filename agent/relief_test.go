package agent

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/runtime"
)

// Relief is the part of an agent that evicts pods.
type Relief struct {
	a     *Agent
	state eviction.State
}

// NewRelief makes one whose node is short of memory for ever.
func NewRelief(t *testing.T, host *pod.Host) *Relief {
	t.Helper()
	settings := eviction.Settings{Hard: map[string]string{"memory.available": "1000Ti"}} // no machine has that
	thresholds, err := settings.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return &Relief{a: &Agent{o: Options{Dir: t.TempDir()}, log: host.Log, clock: host.Clock, runtime: host.Runtime, host: host, thresholds: thresholds,
		workers: map[string]*running{}, statics: newStatics(), node: nodeState{wake: make(chan struct{}, 1)}}}
}

// Run runs a pod; the channel closes after its worker's end.
func (r *Relief) Run(ctx context.Context, p *v1.Pod) <-chan struct{} {
	return r.a.startWorker(ctx, p, feed.Origin{Cause: 1}).done
}

// Evict looks once, and gives the name of the pod that is evicted.
func (r *Relief) Evict(ctx context.Context) string {
	for _, w := range r.a.relieve(ctx, &r.state, eviction.Layout{}, r.a.o.Dir) {
		return w.View().Pod.Name
	}
	return ""
}

// Share has the mounts below a folder seen by others.
func Share(dir string) error { return share(dir) }

// ImagesInUse are those that a runtime's containers need.
func ImagesInUse(ctx context.Context, r runtime.Runtime) (map[string]bool, error) {
	return (&Agent{runtime: r}).imagesInUse(ctx)
}
