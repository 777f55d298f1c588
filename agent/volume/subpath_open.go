package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/events"
)

// BindSubPath mounts a part of a volume at target, and makes a folder in the
// volume when nothing is there. The part is opened before it is mounted, so that
// no container that changes links meanwhile can lead out of the volume.
func BindSubPath(volume, sub, target string) error {
	part, err := openSubPath(volume, sub)
	if err != nil {
		return err
	}
	defer part.Close()
	info, err := part.Stat()
	if err != nil {
		return err
	}
	if present, err := os.Stat(target); err == nil {
		if os.SameFile(info, present) {
			return nil
		}
		if err := unmountAll(target); err != nil {
			return err
		}
	}
	if err := mountPoint(target, info.IsDir()); err != nil {
		return err
	}
	source := fmt.Sprintf("/proc/self/fd/%d", part.Fd())
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount a part of a volume at %s: %w", target, err)
	}
	return nil
}

// mountPoint makes what a folder or a file can be mounted on.
func mountPoint(path string, dir bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() != dir {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if dir {
		return os.MkdirAll(path, 0o750)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// openSubPath opens a path inside a volume (O_PATH), and makes a folder there
// when nothing is. A path that leaves the volume, also by a symbolic link, is refused.
func openSubPath(volume, sub string) (*os.File, error) {
	if filepath.IsAbs(sub) || slices.Contains(strings.Split(sub, "/"), "..") {
		return nil, failf(events.ErrInvalid, "subPath %q leaves the volume", sub)
	}
	info, err := os.Stat(volume)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, failf(events.ErrInvalid, "%s is a file and has no parts", filepath.Base(volume))
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := makeInside(root, sub, info.Mode()); err != nil {
		return nil, err
	}
	base, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer base.Close()
	fd, err := unix.Openat2(int(base.Fd()), filepath.Clean(sub), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, failf(events.ErrInvalid, "subPath %q can't be opened inside the volume: %v", sub, err)
	}
	return os.NewFile(uintptr(fd), sub), nil
}

// makeInside makes the folders of a path that aren't there, with the volume's own mode.
func makeInside(root *os.Root, sub string, mode fs.FileMode) error {
	path := ""
	for _, part := range strings.Split(filepath.Clean(sub), "/") {
		path = filepath.Join(path, part)
		_, err := root.Stat(path)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return failf(events.ErrInvalid, "subPath %q can't be opened inside the volume: %v", sub, err)
		}
		if err := root.Mkdir(path, mode.Perm()); err != nil {
			return fmt.Errorf("make a subPath: %w", err)
		}
		if err := root.Chmod(path, mode&(fs.ModePerm|fs.ModeSetgid)); err != nil { // whatever the umask
			return fmt.Errorf("make a subPath: %w", err)
		}
	}
	return nil
}
