package gateway

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/reckon-project/reckon/projections"
)

// mostQueued bounds what waits for an informer; beyond it the informer lists again.
const mostQueued = 1 << 17

// directWatch is an informer's watch of one resource.
type directWatch struct {
	lister directLister
	result chan watch.Event
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	queue []watch.Event
	ready chan struct{} // has one element while queue has any
}

func newDirectWatch(l directLister) *directWatch {
	w := &directWatch{lister: l, result: make(chan watch.Event), ready: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

func (w *directWatch) ResultChan() <-chan watch.Event { return w.result }

func (w *directWatch) Stop() { w.end() }

func (w *directWatch) end() { w.cancel() }

// add queues what a change is to the informer.
func (w *directWatch) add(c *projections.Change) {
	var e watch.Event
	switch {
	case c.Void != nil || c.Old == c.New:
		return
	case c.New == nil:
		e = watch.Event{Type: watch.Deleted, Object: c.Old.Value}
	case c.Old == nil:
		e = watch.Event{Type: watch.Added, Object: c.New.Value}
	default:
		e = watch.Event{Type: watch.Modified, Object: c.New.Value}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= mostQueued {
		w.end()
		return
	}
	w.queue = append(w.queue, e)
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *directWatch) run() {
	defer close(w.result)
	defer w.leave()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.ready:
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, e := range queue {
			select {
			case <-w.ctx.Done():
				return
			case w.result <- e:
			}
		}
	}
}

// leave takes the watch off the list of those that get changes.
func (w *directWatch) leave() {
	w.lister.mu.Lock()
	defer w.lister.mu.Unlock()
	delete(w.lister.watches[w.lister.resource], w)
}
