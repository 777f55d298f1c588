package nodeports

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/core/rangeallocation"
	"k8s.io/kubernetes/pkg/registry/core/service/allocator"
	"k8s.io/kubernetes/pkg/registry/core/service/portallocator"
)

const (
	prefix = "/ranges"
	name   = "servicenodeports"
	key    = prefix + "/" + name
	// patience bounds one allocation: allocator.Interface knows no context.
	patience = 30 * time.Second
)

// New makes the allocator of a port range. config is the storage configuration
// of api.Resource("servicenodeportallocations"), decorator that of all stores.
func New(ports net.PortRange, config *storagebackend.ConfigForResource, decorator generic.StorageDecorator) (*portallocator.PortAllocator, rangeallocation.RangeRegistry, error) {
	newFunc := func() runtime.Object { return &api.RangeAllocation{} }
	store, destroy, err := decorator(config, prefix, nil, newFunc, nil, nil, nil, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("the store of node ports: %w", err)
	}
	var r *shared
	a, err := portallocator.New(ports, func(size int, spec string, offset int) (allocator.Interface, error) {
		r = &shared{store: store, destroy: destroy, resource: config.GroupResource, fresh: func() allocator.Snapshottable {
			return allocator.NewAllocationMapWithOffset(size, spec, offset)
		}}
		return r, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return a, r, nil
}

// shared is a range of numbers that all servers allocate from.
type shared struct {
	store    storage.Interface
	destroy  func()
	resource schema.GroupResource
	fresh    func() allocator.Snapshottable // an empty range
}

var (
	_ allocator.Interface           = (*shared)(nil)
	_ rangeallocation.RangeRegistry = (*shared)(nil)
)

// errTaken ends an update that can't have what it wants.
var errTaken = errors.New("taken")

// Allocate takes an offset; false: somebody has it.
func (s *shared) Allocate(offset int) (bool, error) {
	err := s.update(func(a allocator.Snapshottable) error {
		ok, err := a.Allocate(offset)
		if err == nil && !ok {
			err = errTaken
		}
		return err
	})
	if errors.Is(err, errTaken) {
		return false, nil
	}
	return err == nil, err
}

// AllocateNext takes a free offset; false: there is none.
func (s *shared) AllocateNext() (offset int, ok bool, err error) {
	err = s.update(func(a allocator.Snapshottable) error {
		offset, ok, err = a.AllocateNext()
		if err == nil && !ok {
			err = errTaken
		}
		return err
	})
	if errors.Is(err, errTaken) {
		return 0, false, nil
	}
	return offset, err == nil, err
}

// Release gives an offset back.
func (s *shared) Release(offset int) error {
	return s.update(func(a allocator.Snapshottable) error { return a.Release(offset) })
}

// update changes the range by one decision; f may run several times.
func (s *shared) update(f func(allocator.Snapshottable) error) error {
	return s.write(func(have *api.RangeAllocation) (*api.RangeAllocation, error) {
		a, err := s.restore(have)
		if err != nil {
			return nil, err
		}
		if err := f(a); err != nil {
			return nil, err
		}
		have.Range, have.Data = a.Snapshot()
		return have, nil
	})
}

func (s *shared) write(f func(have *api.RangeAllocation) (*api.RangeAllocation, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.store.GuaranteedUpdate(ctx, key, &api.RangeAllocation{}, true, nil, storage.SimpleUpdate(func(input runtime.Object) (runtime.Object, error) {
		next, err := f(input.(*api.RangeAllocation))
		if err != nil {
			return nil, err
		}
		next.Name = name
		return next, nil
	}), nil)
	return storeerr.InterpretUpdateError(err, s.resource, name)
}

// restore gives the range with what the stored object says is taken.
func (s *shared) restore(have *api.RangeAllocation) (allocator.Snapshottable, error) {
	a := s.fresh()
	if have.Range == "" { // the first allocation of all
		return a, nil
	}
	if err := a.Restore(have.Range, have.Data); err != nil {
		return nil, fmt.Errorf("the ports in use, range %s: %w", have.Range, err)
	}
	return a, nil
}

// Get gives the stored range; an empty one if there is none yet.
func (s *shared) Get() (*api.RangeAllocation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	have := &api.RangeAllocation{}
	err := s.store.Get(ctx, key, storage.GetOptions{IgnoreNotFound: true}, have)
	return have, storeerr.InterpretGetError(err, s.resource, name)
}

// CreateOrUpdate replaces the range by one that was computed from version
// snapshot.ResourceVersion of it; Conflict if it changed since.
func (s *shared) CreateOrUpdate(snapshot *api.RangeAllocation) error {
	return s.write(func(have *api.RangeAllocation) (*api.RangeAllocation, error) {
		if have.ResourceVersion != snapshot.ResourceVersion {
			return nil, apierrors.NewConflict(s.resource, name, fmt.Errorf("the range changed from version %q to %q", snapshot.ResourceVersion, have.ResourceVersion))
		}
		return snapshot.DeepCopy(), nil
	})
}

// present is the range as it is stored.
func (s *shared) present() (allocator.Snapshottable, error) {
	have, err := s.Get()
	if err != nil {
		return nil, err
	}
	return s.restore(have)
}

// ForEach calls f with every offset taken.
func (s *shared) ForEach(f func(int)) {
	if a, err := s.present(); err == nil {
		a.ForEach(f)
	}
}

// Has reports whether an offset is taken. What can't be read counts as taken.
func (s *shared) Has(offset int) bool {
	a, err := s.present()
	return err != nil || a.Has(offset)
}

// Free is the number of offsets that are free, 0 if that can't be read.
func (s *shared) Free() int {
	a, err := s.present()
	if err != nil {
		return 0
	}
	return a.Free()
}

// Destroy ends the use of the store.
func (s *shared) Destroy() { s.destroy() }
