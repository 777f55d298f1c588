package volume

import (
	"fmt"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mountMemory puts a tmpfs on path unless something is mounted there.
func mountMemory(path, options string) error {
	mounted, err := mountinfo.Mounted(path)
	if err != nil {
		return fmt.Errorf("look for a mount at %s: %w", path, err)
	}
	if mounted {
		return nil
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount tmpfs at %s: %w", path, err)
	}
	return nil
}
