package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/archive/s3"
)

// checkBucket is how long a bucket that is to be the archive may take to answer.
const checkBucket = 20 * time.Second

// archiveFile names the file that says where the archive is, if it isn't in the
// bus's object store.
func (f folder) archiveFile() string { return f.path("archive") }

// archiveCredentials names the file, in AWS's format, that the archive's bucket
// is opened with where the environment says nothing.
func (f folder) archiveCredentials() string { return f.path("archive-credentials") }

// setArchive makes a folder, or the bucket at an address, the archive; a cluster
// has one for good.
func (f folder) setArchive(place string) error {
	if place == "" {
		return nil
	}
	bucket := s3.IsAddress(place)
	if bucket {
		a, err := s3.ParseAddress(place)
		if err != nil {
			return fmt.Errorf("--archive: %w", err)
		}
		place = a.String()
	} else {
		dir, err := filepath.Abs(place)
		if err != nil {
			return err
		}
		place = dir
	}
	had, err := os.ReadFile(f.archiveFile())
	switch {
	case err == nil && strings.TrimSpace(string(had)) == place:
		return nil
	case err == nil:
		return fmt.Errorf("the archive of %s is in %s: move what is there to %s and write its name into %s, then start again", f, strings.TrimSpace(string(had)), place, f.archiveFile())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if bucket {
		blobs, err := f.archiveAt(place)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), checkBucket)
		defer cancel()
		if err := blobs.(*s3.Bucket).Check(ctx); err != nil {
			return fmt.Errorf("--archive %s: %w", place, err)
		}
	}
	return os.WriteFile(f.archiveFile(), []byte(place+"\n"), 0o644)
}

// archiveAt gives the blobs of a folder, or of the bucket at an address.
func (f folder) archiveAt(place string) (bus.Blobs, error) {
	if !s3.IsAddress(place) {
		return archive.Folder(place), nil
	}
	a, err := s3.ParseAddress(place)
	if err != nil {
		return nil, err
	}
	return s3.Open(a, f.archiveCredentials())
}

// withArchive gives b with a log that reads the archive, too.
func (f folder) withArchive(b bus.Bus) (*archive.Bus, error) {
	place, err := os.ReadFile(f.archiveFile())
	if errors.Is(err, fs.ErrNotExist) {
		return archive.Wrap(b, nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the archive: %w", err)
	}
	blobs, err := f.archiveAt(strings.TrimSpace(string(place)))
	if err != nil {
		return nil, fmt.Errorf("find the archive: %s: %w", f.archiveFile(), err)
	}
	return archive.Wrap(b, blobs), nil
}
