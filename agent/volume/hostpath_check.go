package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// checkHostPath makes sure that the path is of the type that the volume wants.
func checkHostPath(s *v1.HostPathVolumeSource) error {
	want := v1.HostPathUnset
	if s.Type != nil {
		want = *s.Type
	}
	switch want {
	case v1.HostPathUnset:
		return nil
	case v1.HostPathDirectoryOrCreate:
		if err := os.MkdirAll(s.Path, 0o755); err != nil {
			return err
		}
	case v1.HostPathFileOrCreate:
		if _, err := os.Stat(s.Path); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(filepath.Dir(s.Path)); err != nil {
				return err
			}
			f, err := os.OpenFile(s.Path, os.O_CREATE|os.O_RDONLY, 0o644)
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	info, err := os.Stat(s.Path)
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	mode, ok := info.Mode(), false
	switch want {
	case v1.HostPathDirectoryOrCreate, v1.HostPathDirectory:
		ok = mode.IsDir()
	case v1.HostPathFileOrCreate, v1.HostPathFile:
		ok = mode.IsRegular()
	case v1.HostPathSocket:
		ok = mode&fs.ModeSocket != 0
	case v1.HostPathCharDev:
		ok = mode&fs.ModeCharDevice != 0
	case v1.HostPathBlockDev:
		ok = mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	}
	if !ok {
		return fmt.Errorf("%w: hostPath type check failed: %s is not a %s", events.ErrInvalid, s.Path, want)
	}
	return nil
}
