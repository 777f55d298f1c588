package store

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// GuaranteedUpdate implements storage.Interface. The suggestion is not used:
// the projection is as near, and newer.
func (s *Store) GuaranteedUpdate(
	ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, _ runtime.Object) error {
	k, err := s.objectKey(key)
	if err != nil {
		return err
	}
	a := s.attempt(k)
	for {
		refused, again, err := s.tryUpdate(ctx, key, &a, destination, ignoreNotFound, preconditions, tryUpdate)
		switch {
		case again:
			continue
		case err != nil:
			return err
		case refused == nil:
			return nil
		case a.fresh:
			return refused
		}
		// The refusal may rest on an old state: look again.
		was := a.version()
		if a, err = s.refresh(ctx, a); err != nil {
			return err
		}
		if a.version() == was {
			return refused
		}
	}
}

// tryUpdate makes one attempt. refused: the caller's function or precondition
// didn't want the state that a holds. again: a is now the next attempt.
func (s *Store) tryUpdate(ctx context.Context, key string, a *attempt, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc) (refused error, again bool, err error) {
	have, stale, refused, err := s.present(ctx, key, a.object, destination, ignoreNotFound)
	if err != nil || refused != nil {
		return refused, false, err
	}
	if err := preconditions.Check(key, have); err != nil {
		return err, false, nil
	}
	want, ttl, err := update(have, storage.ResponseMeta{ResourceVersion: a.version()})
	if err != nil {
		return err, false, nil
	}
	if err := s.versioner.PrepareObjectForStorage(want); err != nil {
		return nil, false, fmt.Errorf("prepare %s to be stored: %w", a.key, err)
	}
	value, err := s.convert.stored(want)
	if err != nil {
		return nil, false, err
	}
	sealed, err := s.seal(ctx, a.key, value, a.object)
	if err != nil {
		return nil, false, storage.NewInternalError(err)
	}
	life := uint64(0)
	if ttl != nil {
		life = *ttl
	}
	if a.object == nil {
		created, err := s.create(ctx, a, sealed, life)
		if err != nil {
			return nil, errors.Is(err, errAgain), err
		}
		return nil, false, s.serveWritten(created, value, destination)
	}
	e, err := s.updated(ctx, a.object, sealed)
	if err != nil {
		return nil, false, err
	}
	if e == nil && !stale {
		if !a.fresh {
			was := a.version()
			if *a, err = s.refresh(ctx, *a); err != nil {
				return nil, false, err
			}
			if a.version() != was {
				return nil, true, nil
			}
		}
		return nil, false, s.serve(ctx, a.object, destination)
	}
	if e == nil {
		e = &events.Event{Type: events.Updated, ContentType: events.ContentPatch, Data: []byte("{}")}
	}
	if s.Volatile { // each event there is whole
		e.ContentType = events.ContentObject
		if e.Data, err = events.EncodeObject(sealed); err != nil {
			return nil, false, err
		}
	}
	change, next, err := s.commit(ctx, *a, e, life)
	*a = next
	if err != nil {
		return nil, errors.Is(err, errAgain), err
	}
	return nil, false, s.serveWritten(change.New, value, destination)
}

// present gives the object as the update function sees it: empty if there is
// none and that is allowed.
func (s *Store) present(ctx context.Context, key string, o *events.Object, like runtime.Object, ignoreNotFound bool) (have runtime.Object, stale bool, refused, err error) {
	if o == nil {
		if !ignoreNotFound {
			return nil, false, storage.NewKeyNotFoundError(key, 0), nil
		}
		return empty(like), false, nil, nil
	}
	value, stale, err := s.open(ctx, o)
	if err != nil {
		return nil, false, nil, unreadable(err, key)
	}
	have = empty(like)
	return have, stale, nil, s.convert.servedInto(value, o.Version, have)
}

// updated gives the event that turns old into value; nil if nothing changes.
func (s *Store) updated(ctx context.Context, old *events.Object, value runtime.Object) (*events.Event, error) {
	data, contentType, err := events.Diff(old.Value, value)
	if err != nil {
		return nil, err
	}
	if contentType == events.ContentPatch && string(data) == "{}" {
		return nil, nil
	}
	e := s.classified(ctx, old.Value, value)
	e.ContentType, e.Data = contentType, data
	return e, s.checkClaim(ctx, e, old.Key)
}
