package machine

import "path/filepath"

// Cgroups is where the cgroup hierarchies are mounted, "/sys/fs/cgroup".
type Cgroups string

// PIDs gives how many tasks are in a cgroup, in the kernel's first or second
// interface; 0 if that can't be told.
func (c Cgroups) PIDs(path string) int64 {
	for _, dir := range []string{filepath.Join(string(c), "pids", path), filepath.Join(string(c), path)} {
		if n, err := readNumber(filepath.Join(dir, "pids.current")); err == nil {
			return n
		}
	}
	return 0
}
