package volume

import (
	"io/fs"
	"os"
	"syscall"
)

// groupOf gives the group and mode of a file, not of what a link points to.
func groupOf(path string) (int, fs.FileMode, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, info.Mode(), nil
	}
	return int(stat.Gid), info.Mode(), nil
}
