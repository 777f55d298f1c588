package store

import (
	"context"
	"errors"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/projections"
)

// Get implements storage.Interface.
func (s *Store) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	k, err := s.objectKey(key)
	if err != nil {
		return err
	}
	if moment, ok := MomentOf(ctx); ok {
		return s.getThen(ctx, key, k, moment, opts, out)
	}
	snap, err := s.notOlder(ctx, opts.ResourceVersion)
	if err != nil {
		return err
	}
	if k.Name != "" {
		if o := snap.Get(k); o != nil {
			return s.serve(ctx, o, out)
		}
	}
	if opts.IgnoreNotFound {
		return runtime.SetZeroValue(out)
	}
	return storage.NewKeyNotFoundError(key, 0)
}

// patience is how long a read waits for a position that is not there yet.
const patience = 3 * time.Second

// notOlder gives a snapshot as a resourceVersion asks for it: "" the present
// one, "0" any, N one that is at N or later.
func (s *Store) notOlder(ctx context.Context, resourceVersion string) (*projections.Snapshot, error) {
	if resourceVersion == "" {
		return s.fresh(ctx)
	}
	version, err := s.versioner.ParseResourceVersion(resourceVersion)
	if err != nil {
		return nil, apierrors.NewBadRequest("invalid resource version: " + err.Error())
	}
	return s.reach(ctx, version)
}

// reach gives a snapshot at version or later.
func (s *Store) reach(ctx context.Context, version uint64) (*projections.Snapshot, error) {
	snap := s.Projection.Snapshot()
	if snap.Position() >= version {
		return snap, nil
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// What no server has acknowledged yet needs no waiting for.
	if _, last, err := s.Log.Range(wait); err == nil && last < version {
		return nil, tooNew(version, last)
	}
	err := s.Projection.WaitFor(wait, version)
	snap = s.Projection.Snapshot()
	switch {
	case err == nil:
		return snap, nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, tooNew(version, snap.Position())
	}
	return nil, apiError(err, "")
}

// empty makes an object like the given one.
func empty(like runtime.Object) runtime.Object {
	if u, ok := like.(runtime.Unstructured); ok {
		return u.NewEmptyInstance()
	}
	return reflect.New(reflect.TypeOf(like).Elem()).Interface().(runtime.Object)
}
