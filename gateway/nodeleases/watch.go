package nodeleases

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/apis/coordination"
)

// watcher sends what happens to the leases written, and heartbeats:
//
//	(initial events: written, told) ─► (bookmark of their end) ─► changes, heartbeats …
type watcher struct {
	heard   *Heard
	sel     selection
	written watch.Interface
	version uint64 // of the last event sent
	shown   map[string]*coordination.Lease
	result  chan watch.Event
	ctx     context.Context
	cancel  context.CancelFunc

	woken chan struct{}
	news  map[string]bool // nodes to look at; heard.mu guards it
}

// Watch implements storage.Interface.
func (s *store) Watch(ctx context.Context, key string, o storage.ListOptions) (watch.Interface, error) {
	sel, ok := s.selects(ctx, key, o.Predicate)
	if !ok {
		return s.Interface.Watch(ctx, key, o)
	}
	version, err := s.GetCurrentResourceVersion(ctx)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		heard: s.heard, sel: sel, version: version, shown: map[string]*coordination.Lease{}, result: make(chan watch.Event),
		woken: make(chan struct{}, 1), news: map[string]bool{},
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	if w.written, err = s.Interface.Watch(w.ctx, key, o); err != nil {
		w.cancel()
		return nil, err
	}
	s.heard.mu.Lock()
	s.heard.watchers[w] = true
	s.heard.mu.Unlock()
	from, err := s.Versioner().ParseResourceVersion(o.ResourceVersion)
	if err != nil {
		w.Stop()
		return nil, err
	}
	state := o.SendInitialEvents == nil && from == 0
	if !state && (o.SendInitialEvents == nil || !*o.SendInitialEvents) {
		for node := range s.heard.nodes() { // who watches from a version has listed them
			if l, err := s.heard.selected(sel, node, ""); err == nil && l != nil {
				w.shown[node] = l
			}
		}
	}
	go w.run(state)
	return w, nil
}

func (w *watcher) ResultChan() <-chan watch.Event { return w.result }
func (w *watcher) Stop()                          { w.cancel() }

func (w *watcher) run(state bool) {
	defer close(w.result)
	defer w.leave()
	if state && !w.sendState() {
		return
	}
	for {
		select {
		case <-w.ctx.Done():
			return
		case e, ok := <-w.written.ResultChan():
			if !ok || !w.pass(e) {
				return
			}
		case <-w.woken:
			for _, node := range w.takeNews() {
				if !w.sendNode(node) {
					return
				}
			}
		}
	}
}

func (w *watcher) leave() {
	w.cancel()
	w.written.Stop()
	for range w.written.ResultChan() { // until it ended
	}
	w.heard.mu.Lock()
	defer w.heard.mu.Unlock()
	delete(w.heard.watchers, w)
}

func (w *watcher) takeNews() []string {
	w.heard.mu.Lock()
	defer w.heard.mu.Unlock()
	nodes := slices.Sorted(maps.Keys(w.news))
	clear(w.news)
	return nodes
}

// pass sends on an event of the leases written; the bookmark that ends the
// initial ones waits for those told.
func (w *watcher) pass(e watch.Event) bool {
	if m, err := meta.Accessor(e.Object); err == nil {
		if v, err := strconv.ParseUint(m.GetResourceVersion(), 10, 64); err == nil {
			w.version = max(w.version, v)
		}
		if e.Type == watch.Bookmark && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" && !w.sendState() {
			return false
		}
	}
	return w.send(e)
}

// sendState sends all that is told.
func (w *watcher) sendState() bool {
	for node := range w.heard.nodes() {
		if !w.sendNode(node) {
			return false
		}
	}
	return true
}

// sendNode sends what became of a node's lease, if it is selected.
func (w *watcher) sendNode(node string) bool {
	was := w.shown[node]
	is, err := w.heard.selected(w.sel, node, strconv.FormatUint(w.version, 10))
	switch {
	case err != nil || is == nil && was == nil:
		return true
	case is == nil:
		delete(w.shown, node)
		return w.send(watch.Event{Type: watch.Deleted, Object: was})
	}
	w.shown[node] = is
	kind := watch.Modified
	if was == nil {
		kind = watch.Added
	}
	return w.send(watch.Event{Type: kind, Object: is.DeepCopy()})
}

func (w *watcher) send(e watch.Event) bool {
	select {
	case w.result <- e:
		return true
	case <-w.ctx.Done():
		return false
	}
}
