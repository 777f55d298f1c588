package store

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// Create implements storage.Interface.
func (s *Store) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	k, err := s.objectKey(key)
	if err != nil {
		return err
	}
	if version, err := s.versioner.ObjectResourceVersion(obj); err == nil && version != 0 {
		return storage.ErrResourceVersionSetOnCreate
	}
	if err := s.versioner.PrepareObjectForStorage(obj); err != nil {
		return fmt.Errorf("prepare %s to be stored: %w", k, err)
	}
	value, err := s.convert.stored(obj)
	if err != nil {
		return err
	}
	sealed, err := s.seal(ctx, k, value, nil)
	if err != nil {
		return storage.NewInternalError(err)
	}
	for a := s.attempt(k); ; {
		if a.object != nil && !a.fresh {
			if a, err = s.refresh(ctx, a); err != nil {
				return err
			}
		}
		if a.object != nil {
			return storage.NewKeyExistsError(key, 0)
		}
		created, err := s.create(ctx, &a, sealed, ttl)
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil || out == nil {
			return err
		}
		return s.serveWritten(created, value, out)
	}
}

// create appends the created event; on errAgain a is the next attempt.
func (s *Store) create(ctx context.Context, a *attempt, value runtime.Object, ttl uint64) (*events.Object, error) {
	data, err := events.EncodeObject(value)
	if err != nil {
		return nil, err
	}
	e := s.classified(ctx, nil, value)
	e.ContentType, e.Data = events.ContentObject, data
	change, next, err := s.commit(ctx, *a, e, ttl)
	*a = next
	return change.New, err
}

// serveWritten gives an object just written to a registry; value is what was
// sealed into it.
func (s *Store) serveWritten(o *events.Object, value, out runtime.Object) error {
	if s.Sealer == nil {
		value = o.Value // as the log gives it back
	}
	return s.convert.servedInto(value, o.Version, out)
}

// serve gives a stored object to a registry.
func (s *Store) serve(ctx context.Context, o *events.Object, out runtime.Object) error {
	value, _, err := s.open(ctx, o)
	if err != nil {
		return unreadable(err, s.storageKey(o.Key))
	}
	return s.convert.servedInto(value, o.Version, out)
}
