package measure

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PodLinks gives the counters of the network namespace that the processes of a
// pod's cgroup are in, nil when it has none now. proc and cgroups are where those
// are mounted, path is the cgroup's below that (in either of the kernel's interfaces).
func PodLinks(proc, cgroups, path string) []Link {
	for _, root := range []string{filepath.Join(cgroups, "pids", path), filepath.Join(cgroups, path)} {
		for _, pid := range processes(root) {
			if links, err := ReadLinks(filepath.Join(proc, strconv.Itoa(pid), "net/dev")); err == nil {
				return links // otherwise it ended meanwhile
			}
		}
	}
	return nil
}

// processes are those of a cgroup and of those below it.
func processes(root string) []int {
	var out []int
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // it is gone
		}
		data, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil //nolint:nilerr // it is gone
		}
		for line := range strings.Lines(string(data)) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				out = append(out, pid)
			}
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return out
}
