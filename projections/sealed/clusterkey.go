package sealed

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// ClusterKey reads the cluster key from a file of 32 bytes that only its owner
// may read (0600), and creates it if it is missing. Whoever loses the file
// loses every Secret.
func ClusterKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		rand.Read(key) // never fails
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("cluster key: %w", err)
		}
		if err := writeFile(path, key); err != nil {
			return nil, fmt.Errorf("cluster key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster key: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("cluster key: %w: %s holds %d bytes, it must be %d", events.ErrInvalid, path, len(key), keySize)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cluster key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cluster key: %w: others may read %s (mode %04o): chmod 600 it", events.ErrInvalid, path, info.Mode().Perm())
	}
	return key, nil
}
