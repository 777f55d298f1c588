package news

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	api "k8s.io/kubernetes/pkg/apis/core"

	over "github.com/reckon-project/reckon/gateway/store"
)

// bookmarkEvery is how often a watch that takes bookmarks gets one.
const bookmarkEvery = time.Minute

// watcher sends what changes in a book.
type watcher struct {
	book   *Book
	sel    selection
	result chan watch.Event
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	still  bool // it is about the past: nothing more happens
}

// Watch implements storage.Interface.
func (s *store) Watch(ctx context.Context, key string, o storage.ListOptions) (watch.Interface, error) {
	from, err := s.Versioner().ParseResourceVersion(o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	items, version, err := s.present(ctx)
	if err != nil {
		return nil, err
	}
	w := &watcher{book: s.book, sel: s.selection(key, o.Recursive, o.Predicate), result: make(chan watch.Event, 100)}
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	var first []watch.Event
	if initial || (from == 0 && o.SendInitialEvents == nil) {
		items.Scan(func(_ string, e *entry) bool {
			var v *api.Event
			if v, err = w.sel.match(e); v != nil {
				first = append(first, watch.Event{Type: watch.Added, Object: v})
			}
			return err == nil
		})
		if err != nil {
			return nil, err
		}
		from = version
	}
	if initial && o.Predicate.AllowWatchBookmarks {
		mark := bookmark(version)
		if err := storage.AnnotateInitialEventsEndBookmark(mark); err != nil {
			return nil, err
		}
		first = append(first, watch.Event{Type: watch.Bookmark, Object: mark})
	}
	if from == 0 || from > version { // no version, or one of another server
		from = version
	}
	if _, past := over.MomentOf(ctx); past {
		w.still = true
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.done.Go(func() { w.run(first, from) })
	return w, nil
}

func (w *watcher) ResultChan() <-chan watch.Event { return w.result }

func (w *watcher) Stop() { w.cancel() }

func (w *watcher) run(first []watch.Event, from uint64) {
	defer close(w.result)
	defer w.cancel()
	for _, e := range first {
		if !w.send(e) {
			return
		}
	}
	if w.still {
		<-w.ctx.Done()
		return
	}
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	for {
		news, advanced, err := w.book.after(from)
		if err != nil {
			status := apierrors.NewResourceExpired(err.Error()).Status()
			w.send(watch.Event{Type: watch.Error, Object: &status})
			return
		}
		for _, c := range news {
			e, err := w.event(c)
			if err != nil {
				status := apierrors.NewInternalError(err).Status()
				w.send(watch.Event{Type: watch.Error, Object: &status})
				return
			}
			if e.Object != nil && !w.send(e) {
				return
			}
			from = c.version
		}
		if len(news) > 0 {
			continue
		}
		select {
		case <-w.ctx.Done():
			return
		case <-advanced:
		case <-tick.C:
			if w.sel.AllowWatchBookmarks && !w.send(watch.Event{Type: watch.Bookmark, Object: bookmark(from)}) {
				return
			}
		}
	}
}

// after gives the changes after a version, and what is closed when there are more.
func (b *Book) after(version uint64) ([]change, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, nil, b.err
	}
	if version < b.floor {
		return nil, nil, fmt.Errorf("too old resource version: %d (%d)", version, b.floor)
	}
	lo, hi := 0, len(b.changes)
	for lo < hi {
		if mid := (lo + hi) / 2; b.changes[mid].version > version {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return b.changes[lo:len(b.changes):len(b.changes)], b.advanced, nil
}

// event is what a change is to the watcher: nothing (no object), or an object
// that appeared, changed or disappeared from what it selects.
func (w *watcher) event(c change) (watch.Event, error) {
	was, err := w.sel.match(c.old)
	if err != nil {
		return watch.Event{}, err
	}
	is, err := w.sel.match(c.new)
	switch {
	case err != nil || (is == nil && was == nil):
		return watch.Event{}, err
	case was == nil:
		return watch.Event{Type: watch.Added, Object: is}, nil
	case is == nil:
		was.ResourceVersion = strconv.FormatUint(c.version, 10)
		return watch.Event{Type: watch.Deleted, Object: was}, nil
	}
	return watch.Event{Type: watch.Modified, Object: is}, nil
}

func (w *watcher) send(e watch.Event) bool {
	select {
	case w.result <- e:
		return true
	case <-w.ctx.Done():
		return false
	}
}

func bookmark(version uint64) runtime.Object {
	b := &api.Event{}
	b.ResourceVersion = strconv.FormatUint(version, 10)
	return b
}
