package sealed

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// KeyStore holds the wrapped key of each object by its uid. It is small, and
// deletes for good.
type KeyStore interface {
	// Get fails with events.ErrNotFound when there is no key.
	Get(uid string) ([]byte, error)
	// Put is durable when it returns.
	Put(uid string, wrapped []byte) error
	// Delete overwrites the key before it removes it; a missing key is no error.
	Delete(uid string) error
}

// FileStore is a KeyStore in a directory, one file per uid.
type FileStore struct{ dir string }

// NewFileStore uses a directory, which is created (0700) if it is missing.
func NewFileStore(dir string) (*FileStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	return &FileStore{dir}, nil
}

// path is safe for any uid: what a file name can't carry is percent-encoded.
func (f *FileStore) path(uid string) string {
	return filepath.Join(f.dir, url.PathEscape(uid)+".key")
}

func (f *FileStore) Get(uid string) ([]byte, error) {
	wrapped, err := os.ReadFile(f.path(uid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key of uid %s: %w", uid, events.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return wrapped, nil
}

func (f *FileStore) Put(uid string, wrapped []byte) error {
	if err := writeFile(f.path(uid), wrapped); err != nil {
		return fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return nil
}

func (f *FileStore) Delete(uid string) error {
	path := f.path(uid)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("key of uid %s: %w", uid, err)
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.WriteAt(make([]byte, info.Size()), 0)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = syncDir(f.dir)
	}
	if err != nil {
		return fmt.Errorf("key of uid %s: %w", uid, err)
	}
	return nil
}

// writeFile makes a file appear whole and durable, or not at all.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
