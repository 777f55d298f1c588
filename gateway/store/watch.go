package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/reckon-project/reckon/events"
)

const (
	watchBuffer   = 100             // events that may wait for a watcher's client
	bookmarkEvery = time.Minute     // how often a quiet watch gets a bookmark
	bookmarkLast  = 2 * time.Second // before a watch's deadline: its last one
)

// Watch implements storage.Interface.
func (s *Store) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	rel, _, err := s.relative(key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	from, err := s.versioner.ParseResourceVersion(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	if s.NewFunc == nil && (opts.Predicate.AllowWatchBookmarks || opts.ProgressNotify) {
		return nil, apierrors.NewInternalError(errors.New("bookmarks need a NewFunc"))
	}
	if from == 0 && opts.SendInitialEvents != nil && !*opts.SendInitialEvents {
		// What is created from now on belongs to the watch.
		snap, err := s.fresh(ctx)
		if err != nil {
			return nil, err
		}
		from = snap.Position()
	}
	w := &watcher{
		store: s, rel: rel, recursive: opts.Recursive, from: from,
		pred: opts.Predicate, all: opts.Predicate.Empty(),
		bookmarks: opts.Predicate.AllowWatchBookmarks || opts.ProgressNotify,
		results:   make(chan watch.Event, watchBuffer),
	}
	w.deadline, _ = ctx.Deadline()
	w.ctx, w.cancel = context.WithCancel(ctx)
	go w.run(opts)
	utilflowcontrol.WatchInitialized(ctx)
	return w, nil
}

// watcher is one watch:
//
//	begin:   (initial events) ─► (bookmark of their end)
//	catchUp: (changes from the history)
//	follow:  changes, bookmarks … ─► (error) ─► closed
type watcher struct {
	store     *Store
	rel       string // relative key, or the prefix of relative keys
	recursive bool
	from      uint64 // everything up to here has been sent
	pred      storage.SelectionPredicate
	all       bool // pred takes everything
	bookmarks bool
	deadline  time.Time // zero: none

	ctx     context.Context
	cancel  context.CancelFunc
	results chan watch.Event
}

func (w *watcher) ResultChan() <-chan watch.Event { return w.results }
func (w *watcher) Stop()                          { w.cancel() }

func (w *watcher) run(opts storage.ListOptions) {
	defer close(w.results)
	defer w.cancel()
	err := w.tell(opts)
	if w.ctx.Err() != nil {
		return
	}
	select {
	case w.results <- watch.Event{Type: watch.Error, Object: statusOf(err)}:
	case <-w.ctx.Done():
	}
}

func (w *watcher) tell(opts storage.ListOptions) error {
	if moment, ok := MomentOf(w.ctx); ok {
		return w.tellThen(moment, opts)
	}
	if err := w.begin(opts); err != nil {
		return err
	}
	if err := w.catchUp(); err != nil {
		return err
	}
	return w.follow()
}

func statusOf(err error) *metav1.Status {
	if errors.Is(err, events.ErrGone) {
		err = apierrors.NewResourceExpired(watchTooOld)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	s := status.Status()
	return &s
}

// begin sends the state that the watch is to begin with, if it is to.
func (w *watcher) begin(opts storage.ListOptions) error {
	send := opts.SendInitialEvents
	if send == nil && w.from > 0 || send != nil && !*send {
		return nil
	}
	snap, err := w.store.notOlder(w.ctx, opts.ResourceVersion)
	if err != nil {
		return err
	}
	v := &view{group: w.store.resource.Group, resource: w.store.resource.Resource, snap: snap}
	if err := w.sendState(v); err != nil {
		return err
	}
	w.from = snap.Position()
	if send != nil && w.bookmarks {
		return w.sendBookmark(true)
	}
	return nil
}

func (w *watcher) sendState(v *view) error {
	prefix := w.rel
	if !w.recursive {
		k, err := w.store.objectKey(w.store.prefix + "/" + w.rel)
		if err != nil {
			return err
		}
		if o := v.get(k); o != nil {
			return w.sendObject(o)
		}
		return nil
	}
	for o := range v.ascend(prefix, "") {
		if err := w.sendObject(o); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) sendObject(o *events.Object) error {
	if !w.all && !w.store.mayMatch(&w.pred, o) {
		return nil
	}
	obj, err := w.store.value(w.ctx, o, o.Version)
	if err != nil {
		return err
	}
	if !w.matches(obj) {
		return nil
	}
	return w.send(watch.Added, obj)
}

// catchUp sends what happened between the beginning of the watch and what the
// feed keeps: a watch may begin anywhere in the history, as after a restart.
func (w *watcher) catchUp() error {
	s := w.store
	if _, _, _, err := s.feed.read(w.from); err == nil {
		return nil
	}
	if w.from < s.Hub.forgotten() {
		return fmt.Errorf("changes after %d are forgotten: %w", w.from, events.ErrGone)
	}
	for changes, err := range s.Projection.Changes(w.ctx, w.from) {
		if err != nil {
			return err
		}
		for i := range changes {
			c := &changes[i]
			if k := c.Event.Key; c.Void != nil || k.Group != s.resource.Group || k.Resource != s.resource.Resource {
				continue
			}
			if err := w.sendChange(&change{Change: *c}); err != nil {
				return err
			}
		}
		w.from = changes[len(changes)-1].Event.Sequence
		if _, _, _, err := s.feed.read(w.from); err == nil {
			return nil
		}
	}
	return w.ctx.Err()
}

// follow sends changes until the watch ends.
func (w *watcher) follow() error {
	timer := time.NewTimer(w.untilBookmark())
	defer timer.Stop()
	hub, feed := w.store.Hub, w.store.feed
	_, _, asked, _ := feed.read(w.from) // what was asked for before counts for others
	for {
		position := hub.position.Load() // before reading: what is read is complete up to it
		news, advanced, progress, err := feed.read(w.from)
		if err != nil {
			return err
		}
		for _, c := range news {
			if err := w.sendChange(c); err != nil {
				return err
			}
			w.from = c.Event.Sequence
		}
		w.from = max(w.from, position)
		if progress != asked && w.bookmarks {
			asked = progress
			if err := w.sendBookmark(false); err != nil {
				return err
			}
		}
		if err := hub.Err(); err != nil {
			return err
		}
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-advanced:
		case <-timer.C:
			w.from = max(w.from, w.quietUpTo())
			if w.bookmarks {
				if err := w.sendBookmark(false); err != nil {
					return err
				}
			}
			timer.Reset(w.untilBookmark())
		}
	}
}

// quietUpTo gives a position up to which nothing remains to be sent.
func (w *watcher) quietUpTo() uint64 {
	position := w.store.Hub.position.Load()
	if news, _, _, err := w.store.feed.read(w.from); err != nil || len(news) > 0 {
		return w.from
	}
	return position
}

// untilBookmark is the time until the next periodic bookmark.
func (w *watcher) untilBookmark() time.Duration {
	if w.deadline.IsZero() {
		return bookmarkEvery
	}
	if last := time.Until(w.deadline.Add(-bookmarkLast)); last > 0 {
		return min(last, bookmarkEvery)
	}
	return bookmarkEvery
}

// sendChange sends what a change means for this watch, if anything.
func (w *watcher) sendChange(c *change) error {
	if rel := relativeKey(c.Event.Key); w.recursive && !strings.HasPrefix(rel, w.rel) || !w.recursive && rel != w.rel {
		return nil
	}
	if !w.all && (c.Old == nil || !w.store.mayMatch(&w.pred, c.Old)) && (c.New == nil || !w.store.mayMatch(&w.pred, c.New)) {
		return nil
	}
	old, new, err := c.values(w.ctx, w.store, !w.all || c.New == nil)
	if err != nil && c.New == nil && errors.Is(err, ErrCorrupt) {
		return deletedUnreadable(err)
	}
	if err != nil {
		return err
	}
	is := c.New != nil && (w.all || w.matches(new.object))
	was := c.Old != nil && (w.all || w.matches(old.object))
	switch {
	case is && was:
		return w.send(watch.Modified, new)
	case is:
		return w.send(watch.Added, new)
	case was:
		return w.send(watch.Deleted, old)
	}
	return nil
}

func (w *watcher) matches(obj runtime.Object) bool {
	if w.all {
		return true
	}
	ok, err := w.pred.Matches(obj)
	return err == nil && ok
}

func (w *watcher) sendBookmark(end bool) error {
	obj := w.store.NewFunc()
	if err := w.store.versioner.UpdateObject(obj, w.from); err != nil {
		return err
	}
	if end {
		if err := storage.AnnotateInitialEventsEndBookmark(obj); err != nil {
			return err
		}
	}
	return w.send(watch.Bookmark, obj)
}

func (w *watcher) send(t watch.EventType, obj runtime.Object) error {
	select {
	case w.results <- watch.Event{Type: t, Object: obj}:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}
