package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
)

// Reader shows a Book's reports beside the objects that they are about.
type Reader struct {
	Book *Book
	Log  *projections.Projection
	// At gives a resource's objects as they were at a position.
	At func(ctx context.Context, r schema.GroupResource, position uint64) ([]*events.Object, error)
}

// look calls f for each object of a core resource in a namespace ("": all), and
// gives the moment that is asked for.
func (r *Reader) look(ctx context.Context, resource, namespace string, f func(runtime.Object)) (time.Time, error) {
	position, past := store.MomentOf(ctx)
	if !past {
		for o := range r.Log.Snapshot().List("", resource, namespace) {
			f(o.Value)
		}
		return r.Book.now(), nil
	}
	at, err := r.moment(ctx)
	if err != nil {
		return at, err
	}
	objects, err := r.At(ctx, schema.GroupResource{Resource: resource}, position)
	if err != nil {
		return at, err
	}
	for _, o := range objects {
		if namespace == "" || o.Key.Namespace == namespace {
			f(o.Value)
		}
	}
	return at, nil
}

// find gives one object, nil if there is none, and the moment that is asked for.
func find[T runtime.Object](ctx context.Context, r *Reader, key events.Key) (found T, at time.Time, err error) {
	position, past := store.MomentOf(ctx)
	if !past {
		found, _ = projections.Get[T](r.Log.Snapshot(), key)
		return found, r.Book.now(), nil
	}
	if at, err = r.moment(ctx); err != nil {
		return found, at, err
	}
	objects, err := r.At(ctx, schema.GroupResource{Resource: key.Resource}, position)
	for _, o := range objects {
		if o.Key == key {
			found, _ = o.Value.(T)
		}
	}
	return found, at, err
}

// moment is the time of the past that is asked for, if anything is known of it.
func (r *Reader) moment(ctx context.Context) (time.Time, error) {
	at, ok := store.TimeOf(ctx)
	if !ok {
		return at, errors.New("a moment of the past without its time")
	}
	if now := r.Book.now(); now.Sub(at) > history {
		return at, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonGone,
			Message: fmt.Sprintf("what nodes and pods used is remembered for %s: %s is earlier", history, at.UTC().Format(time.RFC3339))}}
	}
	return at, nil
}

// selectors of a list; they are never nil.
func selectors(o *internalversion.ListOptions) (labels.Selector, fields.Selector) {
	l, f := labels.Everything(), fields.Everything()
	if o != nil && o.LabelSelector != nil {
		l = o.LabelSelector
	}
	if o != nil && o.FieldSelector != nil {
		f = o.FieldSelector
	}
	return l, f
}
