package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
)

type natsBlobs struct{ c *connection }

func (b *natsBlobs) store(ctx context.Context) (jetstream.ObjectStore, error) {
	s, err := b.c.js.ObjectStore(ctx, BucketBlobs)
	if err != nil {
		return nil, unavailable("open the blob store", err)
	}
	return s, nil
}

func (b *natsBlobs) Put(ctx context.Context, name string, r io.Reader) error {
	ctx, done := b.c.guardAPI(ctx, "OBJ_"+BucketBlobs)
	defer done()
	s, err := b.store(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, jetstream.ObjectMeta{Name: name}, r); err != nil {
		return unavailable("put blob "+name, cause(ctx, err))
	}
	return b.c.durability.SyncAll(ctx)
}

func (b *natsBlobs) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	// The reader outlives this call, so the context isn't guarded.
	s, err := b.store(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("blob %s: %w", name, events.ErrNotFound)
	}
	if err != nil {
		return nil, unavailable("get blob "+name, err)
	}
	return r, nil
}

func (b *natsBlobs) List(ctx context.Context, prefix string) ([]string, error) {
	s, err := b.store(ctx)
	if err != nil {
		return nil, err
	}
	infos, err := s.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("list blobs", err)
	}
	var names []string
	for _, info := range infos {
		if !info.Deleted && strings.HasPrefix(info.Name, prefix) {
			names = append(names, info.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (b *natsBlobs) Delete(ctx context.Context, name string) error {
	s, err := b.store(ctx)
	if err != nil {
		return err
	}
	if err := s.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return unavailable("delete blob "+name, err)
	}
	return nil
}
