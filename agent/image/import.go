package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/reckon-project/reckon/events"
)

const snapshotter = "overlayfs"

// ImportFile imports the images of a tar file (docker save or OCI layout) for
// CRI to find and gives their names.
func ImportFile(ctx context.Context, daemon *containerd.Client, path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: import an image: %v", events.ErrInvalid, err)
	}
	defer f.Close()
	return Import(ctx, daemon, f)
}

// Import is ImportFile from a stream.
func Import(ctx context.Context, daemon *containerd.Client, r io.Reader) ([]string, error) {
	ctx = namespaces.WithNamespace(ctx, daemon.DefaultNamespace())
	ctx, done, err := daemon.WithLease(ctx)
	if err != nil {
		return nil, fmt.Errorf("import an image: %w", err)
	}
	defer done(context.WithoutCancel(ctx)) //nolint:errcheck // an unreleased lease ends by itself
	images, err := daemon.Import(ctx, r, containerd.WithImportPlatform(platforms.Default()))
	if err != nil {
		return nil, fmt.Errorf("import an image: %w", err)
	}
	var names []string
	for _, i := range images {
		image := containerd.NewImage(daemon, i)
		if err := image.Unpack(ctx, snapshotter); err != nil {
			return nil, fmt.Errorf("unpack image %s: %w", i.Name, err)
		}
		names = append(names, i.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: there is no named image in the file", events.ErrInvalid)
	}
	return names, nil
}

// Load imports an image that Build made, under the name ref.
func Load(ctx context.Context, daemon *containerd.Client, ref string, image v1.Image) (string, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", fmt.Errorf("%w: image name %q: %v", events.ErrInvalid, ref, err)
	}
	var b bytes.Buffer
	if err := Save(&b, tag.Name(), image); err != nil {
		return "", fmt.Errorf("pack image %s: %w", ref, err)
	}
	names, err := Import(ctx, daemon, &b)
	if err != nil {
		return "", err
	}
	return names[0], nil
}
