package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// FileSystem is what a file system has and has left.
type FileSystem struct {
	Capacity, Available int64 // bytes; available to others than root, too
	Inodes, InodesFree  int64 // 0: it doesn't count them
	Device              uint64
}

// Disk asks about the file system of a path.
func Disk(path string) (FileSystem, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return FileSystem{}, fmt.Errorf("ask for the space at %s: %w", path, err)
	}
	var f unix.Stat_t
	if err := unix.Stat(path, &f); err != nil {
		return FileSystem{}, fmt.Errorf("ask for the device of %s: %w", path, err)
	}
	return FileSystem{
		Capacity: int64(s.Blocks) * s.Bsize, Available: int64(s.Bavail) * s.Bsize,
		Inodes: int64(s.Files), InodesFree: int64(s.Ffree), Device: f.Dev,
	}, nil
}

// Used is what files take.
type Used struct{ Bytes, Inodes int64 }

// Use adds up what lies under a path on its own file system; what is linked
// several times counts once. Nothing there is nothing used, and what goes away
// meanwhile doesn't count.
func Use(path string) (Used, error) {
	var out Used
	var device uint64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		s := info.Sys().(*syscall.Stat_t)
		switch {
		case at == path:
			device = s.Dev
		case s.Dev != device && d.IsDir():
			return fs.SkipDir
		case s.Dev != device:
			return nil
		}
		if s.Nlink > 1 && !d.IsDir() {
			if seen[s.Ino] {
				return nil
			}
			seen[s.Ino] = true
		}
		out.Bytes += s.Blocks * 512
		out.Inodes++
		return nil
	})
	if err != nil {
		return Used{}, fmt.Errorf("measure %s: %w", path, err)
	}
	return out, nil
}
