package image

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/reckon-project/reckon/events"
)

// Save writes an image as a tar file that Import, docker load and ctr import read.
func Save(w io.Writer, ref string, image v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("%w: image name %q: %v", events.ErrInvalid, ref, err)
	}
	return tarball.Write(tag, image, w)
}

func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
