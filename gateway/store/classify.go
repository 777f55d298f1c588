package store

import (
	"bytes"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// classified makes an event that says what a write does; old is nil for a
// creation, new for a deletion. What the writer says of it (Origin) goes first.
func (s *Store) classified(ctx context.Context, old, new runtime.Object) *events.Event {
	e := &events.Event{}
	if s.Volatile {
		e.Type = plainType(old, new) // renewals, mostly: not worth words
		return e
	}
	if o := OriginOf(ctx); o.Component != "" && o.Type != "" && o.Reason != "" && old != nil && new != nil {
		e.Type = plainType(old, new) // the writer has said it all
		return e
	}
	info, _ := requestInfo(ctx)
	e.Type, e.Reason, e.Note = events.Classify(old, new, info.Verb, info.Subresource)
	return e
}

func plainType(old, new runtime.Object) string {
	switch {
	case old == nil:
		return events.Created
	case new == nil:
		return events.Deleted
	case old.(metav1.Object).GetDeletionTimestamp() == nil && new.(metav1.Object).GetDeletionTimestamp() != nil:
		return events.Deleting
	}
	return events.Updated
}

// checkClaim refuses an update that isn't what its writer says it is. Built-in
// components, which act under a leadership, are believed; so is everybody who
// says updated, or that a change of a workload's template is a rollback, which
// can't be told from the change alone.
func (s *Store) checkClaim(ctx context.Context, e *events.Event, key events.Key) error {
	o := OriginOf(ctx)
	switch {
	case o.Type == "" || o.Component != "" || o.Type == e.Type || o.Type == events.Updated:
		return nil
	case o.Type == events.RolledBack && bytes.Contains(e.Data, []byte(`"template"`)):
		return nil
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the change of %s is %q, not %q: %s", key, e.Type, o.Type, e.Note))
}
