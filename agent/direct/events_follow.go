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

// listeners are those who want to hear of events.
type listeners struct {
	mu  sync.Mutex // held while one is told, too: each hears one thing at a time
	all map[*listener]bool
}

type listener struct {
	f      func(runtime.Event)
	broken chan error // gets one when events may have been missed
}

func (l *listeners) tell(e runtime.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.all {
		one.f(e)
	}
}

func (l *listeners) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.all {
		one.broken <- err
	}
	clear(l.all)
}

// Events implements runtime.Runtime. What ended before anybody listened is told first.
func (r *Runtime) Events(ctx context.Context, f func(runtime.Event)) error {
	one := &listener{f: f, broken: make(chan error, 1)}
	r.listeners.mu.Lock()
	r.listeners.all[one] = true
	for _, rec := range r.all((*record).ends) {
		f(runtime.Event{ID: rec.id})
	}
	r.listeners.mu.Unlock()
	select {
	case err := <-one.broken:
		return fmt.Errorf("containerd's events ended: %w", err)
	case <-ctx.Done():
	}
	r.listeners.mu.Lock()
	defer r.listeners.mu.Unlock()
	delete(r.listeners.all, one)
	return ctx.Err()
}

// follow notes what ends until ctx is done: it is noted before it is told.
func (r *Runtime) follow(ctx context.Context) {
	ticker := time.NewTicker(settleAgain)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := r.followOnce(ctx); ctx.Err() == nil {
			r.listeners.fail(err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (r *Runtime) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var settling sync.WaitGroup
	defer settling.Wait()
	defer cancel()
	envelopes, errs := r.daemon.EventService().Subscribe(ctx,
		fmt.Sprintf(`namespace==%s,topic=="/tasks/exit"`, cri.Namespace), fmt.Sprintf(`namespace==%s,topic=="/tasks/oom"`, cri.Namespace))
	settle := func(rec *record) {
		settling.Go(func() {
			before := rec.ends()
			if r.settleSoon(ctx, rec) && rec.ends() != before {
				r.listeners.tell(runtime.Event{ID: rec.id})
			}
		})
	}
	for _, rec := range r.all(func(rec *record) bool { return runs(rec) || rec.isSandbox() && rec.about.Pause && rec.ready() }) {
		settle(rec) // it may have ended while nobody listened
	}
	for {
		select {
		case err := <-errs:
			return err
		case envelope := <-envelopes:
			event, err := typeurl.UnmarshalAny(envelope.Event)
			if err != nil {
				return fmt.Errorf("read an event of containerd on %s: %w", envelope.Topic, err)
			}
			switch e := event.(type) {
			case *apievents.TaskExit:
				if rec := r.find(e.ContainerID); rec != nil && e.ID == e.ContainerID { // not the end of an exec
					settle(rec)
				}
			case *apievents.TaskOOM:
				if r.find(e.ContainerID) == nil {
					continue
				}
				r.mu.Lock()
				r.ooms[e.ContainerID] = true
				r.mu.Unlock()
				r.listeners.tell(runtime.Event{ID: e.ContainerID, OOM: true})
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
