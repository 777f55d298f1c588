package direct

import (
	"context"
	"fmt"
	"sync"
	"time"

	apievents "github.com/containerd/containerd/api/events"
	"github.com/containerd/typeurl/v2"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/runtime"
)

// Events implements runtime.Runtime. What ended is noted before it is told, and
// what ended unseen is told first.
func (r *Runtime) Events(ctx context.Context, f func(runtime.Event)) error {
	ctx, cancel := context.WithCancel(inNamespace(ctx))
	var settling sync.WaitGroup
	defer settling.Wait()
	defer cancel()
	envelopes, errs := r.daemon.EventService().Subscribe(ctx,
		fmt.Sprintf(`namespace==%s,topic=="/tasks/exit"`, cri.Namespace), fmt.Sprintf(`namespace==%s,topic=="/tasks/oom"`, cri.Namespace))
	var telling sync.Mutex
	tell := func(e runtime.Event) {
		telling.Lock()
		defer telling.Unlock()
		f(e)
	}
	settle := func(rec *record, told bool) {
		settling.Go(func() {
			before := rec.ends()
			if r.settleSoon(ctx, rec) && (told || rec.ends() != before) {
				tell(runtime.Event{ID: rec.id})
			}
		})
	}
	for _, rec := range r.all(func(rec *record) bool { return runs(rec) || rec.isSandbox() && rec.about.Pause && rec.ready() }) {
		settle(rec, false)
	}
	for {
		select {
		case err := <-errs:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("containerd's events ended: %w", err)
		case envelope := <-envelopes:
			event, err := typeurl.UnmarshalAny(envelope.Event)
			if err != nil {
				return fmt.Errorf("read an event of containerd on %s: %w", envelope.Topic, err)
			}
			switch e := event.(type) {
			case *apievents.TaskExit:
				if rec := r.find(e.ContainerID); rec != nil && e.ID == e.ContainerID { // not the end of an exec
					settle(rec, true)
				}
			case *apievents.TaskOOM:
				if r.find(e.ContainerID) == nil {
					continue
				}
				r.mu.Lock()
				r.ooms[e.ContainerID] = true
				r.mu.Unlock()
				tell(runtime.Event{ID: e.ContainerID, OOM: true})
			}
		}
	}
}

// settleSoon settles a record, however often that takes.
func (r *Runtime) settleSoon(ctx context.Context, rec *record) bool {
	ticker := time.NewTicker(settleAgain)
	defer ticker.Stop()
	for r.settle(ctx, rec) != nil {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

const settleAgain = 200 * time.Millisecond

// ends reports whether a record shows an end.
func (r *record) ends() bool { return r.label(labelFinished) != "" || r.label(labelReady) == "false" }
