package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Folder keeps blobs as files below a directory, which may be on another disk
// or machine. A file appears under its name only when it is whole and synced.
type Folder string

const unfinished = ".unfinished-"

// path is the file of a blob. Names go below the folder and nowhere else.
func (f Folder) path(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." || strings.Contains(name, unfinished) {
		return "", fmt.Errorf("%w: %q can't name a blob", events.ErrInvalid, name)
	}
	return filepath.Join(string(f), filepath.FromSlash(name)), nil
}

// Put writes a file, syncs it and puts it in place.
func (f Folder) Put(ctx context.Context, name string, r io.Reader) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := f.put(ctx, path, r); err != nil {
		return fmt.Errorf("put blob %s: %w: %w", name, events.ErrUnavailable, err)
	}
	return nil
}

func (f Folder) put(ctx context.Context, path string, r io.Reader) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it has another name by then, if all went well
	_, err = io.Copy(file, r)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	// The names of the file and of the folders made for it are to last, too.
	for ; len(dir) >= len(string(f)) && dir != "." && dir != string(filepath.Separator); dir = filepath.Dir(dir) {
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get opens a file; the reader is an io.Seeker.
func (f Folder) Get(_ context.Context, name string) (io.ReadCloser, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", name, events.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w: %w", name, events.ErrUnavailable, err)
	}
	return file, nil
}

// List gives the names that begin with prefix, sorted.
func (f Folder) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		name, err := filepath.Rel(string(f), path)
		if name = filepath.ToSlash(name); strings.HasPrefix(name, prefix) && !strings.Contains(name, unfinished) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w: %w", events.ErrUnavailable, err)
	}
	slices.Sort(names)
	return names, nil
}

// Delete removes a file; one that isn't there is no error.
func (f Folder) Delete(_ context.Context, name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob %s: %w: %w", name, events.ErrUnavailable, err)
	}
	return nil
}

var _ bus.Blobs = Folder("")
