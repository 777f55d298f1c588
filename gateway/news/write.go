package news

import (
	"context"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	api "k8s.io/kubernetes/pkg/apis/core"
)

// store is the storage of Events: it reads from the book and writes to VOLATILE.
type store struct {
	storage.Interface // over VOLATILE
	book              *Book
	prefix            string
}

// Over makes the storage of Events from that over VOLATILE, whose keys begin
// with prefix.
func (b *Book) Over(volatile storage.Interface, prefix string) storage.Interface {
	return &store{volatile, b, strings.TrimSuffix(prefix, "/")}
}

// trim gives a key's namespace/name, or what there is of it.
func (s *store) trim(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, s.prefix), "/")
}

func (s *store) entry(key string) *entry {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	e, _ := s.book.items.Get(s.trim(key))
	return e
}

// written waits until the book has a write whose result is out, and gives out
// the book's version.
func (s *store) written(ctx context.Context, key string, out runtime.Object) error {
	at, err := s.Versioner().ObjectResourceVersion(out)
	if err != nil {
		return err
	}
	if err := s.book.await(ctx, fromVolatile, at); err != nil {
		return err
	}
	if e := s.entry(key); e != nil {
		return s.Versioner().UpdateObject(out, e.version)
	}
	return nil // deleted again already
}

// Create implements storage.Interface.
func (s *store) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	if out == nil {
		out = &api.Event{}
	}
	if err := s.Interface.Create(ctx, key, obj, out, ttl); err != nil {
		return err
	}
	return s.written(ctx, key, out)
}

// GuaranteedUpdate implements storage.Interface. The versions that callers know
// are the book's, those of VOLATILE are underneath.
func (s *store) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, p *storage.Preconditions, update storage.UpdateFunc, _ runtime.Object) error {
	if e := s.entry(key); e != nil && e.story != nil {
		return apierrors.NewBadRequest("this Event is told by the log and can't be changed")
	}
	err := s.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, s.underneath(key, p), func(input runtime.Object, meta storage.ResponseMeta) (runtime.Object, *uint64, error) {
		if e := s.entry(key); e != nil && e.event != nil && e.event.ResourceVersion == strconv.FormatUint(meta.ResourceVersion, 10) {
			if err := s.Versioner().UpdateObject(input, e.version); err != nil {
				return nil, nil, err
			}
			meta.ResourceVersion = e.version
		}
		return update(input, meta)
	}, nil)
	if err != nil {
		return err
	}
	return s.written(ctx, key, out)
}

// underneath translates preconditions to VOLATILE's versions.
func (s *store) underneath(key string, p *storage.Preconditions) *storage.Preconditions {
	e := s.entry(key)
	if p == nil || p.ResourceVersion == nil || e == nil || e.event == nil || *p.ResourceVersion != strconv.FormatUint(e.version, 10) {
		return p
	}
	return &storage.Preconditions{UID: p.UID, ResourceVersion: &e.event.ResourceVersion}
}

// Delete implements storage.Interface. A told Event is removed from the book.
func (s *store) Delete(ctx context.Context, key string, out runtime.Object, p *storage.Preconditions, validate storage.ValidateObjectFunc, _ runtime.Object, o storage.DeleteOptions) error {
	e := s.entry(key)
	if e == nil || e.story == nil {
		return s.Interface.Delete(ctx, key, out, s.underneath(key, p), validate, nil, o)
	}
	if err := e.into(out); err != nil {
		return err
	}
	if err := p.Check(key, out); err != nil {
		return err
	}
	if err := validate(ctx, out); err != nil {
		return err
	}
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	if now, ok := s.book.items.Get(e.key); ok && now.story != nil {
		s.book.forget(now)
		s.book.wake()
	}
	return nil
}
