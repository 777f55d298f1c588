package volume

import (
	"fmt"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mountMemory puts a tmpfs on path unless something is mounted there.
func mountMemory(path, options string) error { return mountOnce("tmpfs", path, "tmpfs", options) }

func mountOnce(source, path, kind, options string) error {
	mounted, err := mountinfo.Mounted(path)
	if err != nil {
		return fmt.Errorf("look for a mount at %s: %w", path, err)
	}
	if mounted {
		return nil
	}
	if err := unix.Mount(source, path, kind, unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, path, err)
	}
	return nil
}
