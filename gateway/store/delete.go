package store

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// Delete implements storage.Interface. The suggestion is not used: the
// projection is as near, and newer.
func (s *Store) Delete(
	ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, _ runtime.Object, opts storage.DeleteOptions) error {
	k, err := s.objectKey(key)
	if err != nil {
		return err
	}
	unsafe := opts.ExpectTransformOrDecodeError && unsafeDeletion()
	a := s.attempt(k)
	for {
		refused, err := s.mayDelete(ctx, key, a, out, preconditions, validate, unsafe)
		if err != nil {
			return err
		}
		if refused != nil {
			if a.fresh {
				return refused
			}
			was := a.version()
			if a, err = s.refresh(ctx, a); err != nil {
				return err
			}
			if a.version() == was {
				return refused
			}
			continue
		}
		change, next, err := s.commit(ctx, a, s.classified(ctx, a.object.Value, nil), 0)
		if errors.Is(err, errAgain) {
			a = next
			continue
		}
		if err != nil {
			return err
		}
		if !unsafe { // otherwise there is nothing to show
			last := *change.Old
			last.Version = change.Event.Sequence
			err = s.serve(ctx, &last, out)
		}
		if d, ok := s.Sealer.(Destroyer); ok {
			err = errors.Join(err, d.Destroy(ctx, k, change.Old.Value))
		}
		return err
	}
}

// mayDelete says why the object must not be deleted. unsafe: only an object
// that can't be read may be.
func (s *Store) mayDelete(ctx context.Context, key string, a attempt, like runtime.Object, preconditions *storage.Preconditions, validate storage.ValidateObjectFunc, unsafe bool) (refused, err error) {
	have, _, refused, err := s.present(ctx, key, a.object, like, false)
	switch {
	case refused != nil:
		return refused, nil
	case unsafe && err == nil:
		return storage.NewInvalidObjError(key, "unsafe deletion is for objects that can't be read, and this one can"), nil
	case unsafe:
		return validate(ctx, nil), nil
	case err != nil:
		return nil, err
	}
	if err := preconditions.Check(key, have); err != nil {
		return err, nil
	}
	return validate(ctx, have), nil
}
