package store

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/warning"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

type momentKey struct{}

// nothing is a snapshot without objects.
var nothing = projections.New(nil).Snapshot()

// WithMoment makes reads under the context see the log as it was at a position:
// lists and single objects are those of then, a watch tells what happened up to
// then and stays quiet. The caller made sure that the position is in the history.
func WithMoment(ctx context.Context, position uint64) context.Context {
	return context.WithValue(ctx, momentKey{}, position)
}

// MomentOf is the position that WithMoment put into the context; false: the
// present is read.
func MomentOf(ctx context.Context) (uint64, bool) {
	position, ok := ctx.Value(momentKey{}).(uint64)
	return position, ok
}

// momentView gives the objects as they were at the moment of ctx, for a list or a
// watch that names a position (0: none).
func (s *Store) momentView(ctx context.Context, moment, at uint64) (*view, error) {
	if at > moment {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("resource version %d is later than the moment that is read, %d", at, moment))
	}
	if at == 0 {
		at = moment
	}
	v := &view{group: s.resource.Group, resource: s.resource.Resource, position: at}
	if s.Volatile {
		warning.AddWarning(ctx, "", fmt.Sprintf("%s are not kept in the history: their past is unknown", s.resource))
		v.snap = nothing
		return v, nil
	}
	if err := s.exactly(ctx, v, at); err != nil {
		return nil, apiError(err, "")
	}
	return v, nil
}

// getThen is Get at a moment.
func (s *Store) getThen(ctx context.Context, key string, k events.Key, moment uint64, opts storage.GetOptions, out runtime.Object) error {
	v, err := s.momentView(ctx, moment, 0)
	if err != nil {
		return err
	}
	if k.Name != "" {
		if o := v.get(k); o != nil {
			value, err := s.openWas(ctx, o)
			if err != nil {
				return unreadable(err, s.storageKey(o.Key))
			}
			return s.convert.servedInto(value, o.Version, out)
		}
	}
	if opts.IgnoreNotFound {
		return runtime.SetZeroValue(out)
	}
	return storage.NewKeyNotFoundError(key, 0)
}

// tellThen is a watch at a moment: the state if it is asked for, or the changes
// from a version up to the moment; then nothing more happens.
func (w *watcher) tellThen(moment uint64, opts storage.ListOptions) error {
	send := opts.SendInitialEvents
	if state := send == nil && w.from == 0 || send != nil && *send; state || w.from == 0 || w.from > moment {
		v, err := w.store.momentView(w.ctx, moment, 0)
		if err != nil {
			return err
		}
		if state {
			if err := w.sendState(v); err != nil {
				return err
			}
		}
		w.from = moment
		if state && send != nil && w.bookmarks {
			if err := w.sendBookmark(true); err != nil {
				return err
			}
		}
	}
	if err := w.sendChangesUpTo(moment); err != nil {
		return err
	}
	<-w.ctx.Done()
	return w.ctx.Err()
}

// sendChangesUpTo sends the changes after w.from that are not later than end.
func (w *watcher) sendChangesUpTo(end uint64) error {
	if w.from >= end || w.store.Volatile {
		return nil
	}
	for changes, err := range w.store.Projection.Changes(w.ctx, w.from) {
		if err != nil {
			return err
		}
		for i := range changes {
			c := &changes[i]
			if c.Event.Sequence > end {
				return nil
			}
			if k := c.Event.Key; c.Void != nil || k.Group != w.store.resource.Group || k.Resource != w.store.resource.Resource {
				continue
			}
			if err := w.sendChange(&change{Change: *c}); err != nil {
				return err
			}
		}
		if w.from = changes[len(changes)-1].Event.Sequence; w.from >= end {
			return nil
		}
	}
	return w.ctx.Err()
}

// At gives a resource's objects as they were at a position of LOG, in order.
// They are shared, and not to be modified; Secrets are sealed. A position that
// isn't kept is an error of class events.ErrGone.
func (f *Factory) At(ctx context.Context, r schema.GroupResource, position uint64) ([]*events.Object, error) {
	s := &Store{Options: Options{Log: f.options.Log, Projection: f.options.Projection, Hub: f.durable}, resource: canonical(r)}
	v := &view{group: s.resource.Group, resource: s.resource.Resource}
	if err := s.exactly(ctx, v, position); err != nil {
		return nil, err
	}
	var out []*events.Object
	for o := range v.ascend("", "") {
		out = append(out, o)
	}
	return out, nil
}

type timeKey struct{}

// WithTime says at which time the moment of the context was.
func WithTime(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, timeKey{}, at)
}

// TimeOf is the time that WithTime put into the context.
func TimeOf(ctx context.Context) (time.Time, bool) {
	at, ok := ctx.Value(timeKey{}).(time.Time)
	return at, ok
}
