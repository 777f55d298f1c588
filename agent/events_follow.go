package agent

import (
	"context"
	"time"

	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/runtime"
)

// followEvents hands what the runtime tells to the worker that it concerns.
// After a gap every worker looks for itself.
func (a *Agent) followEvents(ctx context.Context) error {
	for ctx.Err() == nil {
		a.lookAtAll()
		err := a.runtime.Events(ctx, func(e runtime.Event) {
			if w := a.ownerOf(e.ID); w != nil {
				w.Look(e.ID, e.OOM)
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		a.log.Info("the runtime's events ended: listening again", "err", err)
		a.pause(ctx, 200*time.Millisecond)
	}
	return nil
}

func (a *Agent) ownerOf(id string) (owner *pod.Worker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.workers {
		if r.worker.Owns(id) {
			return r.worker
		}
	}
	return nil
}
