package volume

import (
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
)

func mountEmptyDir(path string, s *v1.EmptyDirVolumeSource, group *int64) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	switch s.Medium {
	case v1.StorageMediumDefault:
	case v1.StorageMediumMemory:
		options := "mode=0777"
		if s.SizeLimit != nil && !s.SizeLimit.IsZero() {
			options += fmt.Sprintf(",size=%d", s.SizeLimit.Value())
		}
		if err := mountMemory(path, options); err != nil {
			return err
		}
	default:
		return fmt.Errorf("emptyDir medium %q isn't known here", s.Medium)
	}
	mode := os.FileMode(0o777)
	if group != nil {
		if err := os.Lchown(path, -1, int(*group)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(path, mode) // whatever the umask
}
