package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// SubPath gives a path inside a volume, and makes a folder there when nothing
// is. A path that leaves the volume, also by a symbolic link, is refused.
func SubPath(volume, sub string) (string, error) {
	info, err := os.Stat(volume)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%w: %s is a file and has no parts", events.ErrInvalid, filepath.Base(volume))
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Stat(sub); errors.Is(err, os.ErrNotExist) {
		if err := root.MkdirAll(sub, 0o750); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
	return filepath.EvalSymlinks(filepath.Join(volume, sub))
}
