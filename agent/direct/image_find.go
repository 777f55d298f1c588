package direct

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/image-spec/identity"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/reckon-project/reckon/events"
)

const mostImages = 256 // in the cache

// image is what a container takes from its image.
type image struct {
	config imagespec.ImageConfig
	chain  string // the snapshot of its layers
}

// imageCache remembers images by their ids: those are digests, so they never change.
type imageCache struct {
	mu     sync.Mutex
	images map[string]*image
	users  map[string]user // by chain and user string
}

// image finds an image by its id or name.
func (r *Runtime) image(ctx context.Context, ref string) (*image, error) {
	r.images.mu.Lock()
	have := r.images.images[ref]
	r.images.mu.Unlock()
	if have != nil {
		return have, nil
	}
	known, err := r.ImageStatus(ctx, ref)
	if err != nil {
		return nil, err
	}
	if known == nil {
		return nil, fmt.Errorf("image %s: %w", ref, events.ErrNotFound)
	}
	found, err := r.daemon.ImageService().Get(ctx, known.Id)
	for _, name := range append(known.RepoTags, known.RepoDigests...) {
		if !errdefs.IsNotFound(err) {
			break
		}
		found, err = r.daemon.ImageService().Get(ctx, name)
	}
	if err != nil {
		return nil, classify(err, "find image %s", ref)
	}
	out, err := r.readImage(ctx, client.NewImageWithPlatform(r.daemon, found, platforms.Default()))
	if err != nil {
		return nil, classify(err, "read image %s", ref)
	}
	if ref != known.Id {
		return out, nil // a name may be given to another image
	}
	r.images.mu.Lock()
	defer r.images.mu.Unlock()
	if r.images.images == nil || len(r.images.images) >= mostImages {
		r.images.images = map[string]*image{}
	}
	r.images.images[ref] = out
	return out, nil
}

func (r *Runtime) readImage(ctx context.Context, i client.Image) (*image, error) {
	layers, err := i.RootFS(ctx)
	if err != nil {
		return nil, err
	}
	out := &image{chain: identity.ChainID(layers).String()}
	unpacked, err := i.IsUnpacked(ctx, snapshotter)
	if err != nil {
		return nil, err
	}
	if !unpacked {
		if err := i.Unpack(ctx, snapshotter); err != nil {
			return nil, err
		}
	}
	where, err := i.Config(ctx)
	if err != nil {
		return nil, err
	}
	data, err := content.ReadBlob(ctx, r.daemon.ContentStore(), where)
	if err != nil {
		return nil, err
	}
	var whole imagespec.Image
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	out.config = whole.Config
	return out, nil
}

// prepareSnapshot makes a container's root file system. Its record must be
// there: it is what keeps containerd from collecting the snapshot.
func (r *Runtime) prepareSnapshot(ctx context.Context, id, chain string) error {
	_, err := r.daemon.SnapshotService(snapshotter).Prepare(ctx, id, chain)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return classify(err, "prepare the root file system of %s", id)
}

func (r *Runtime) removeSnapshot(ctx context.Context, id string) error {
	err := r.daemon.SnapshotService(snapshotter).Remove(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return classify(err, "remove the root file system of %s", id)
}
