package measure

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Throttling is how a cgroup's limit of CPU held it up.
type Throttling struct{ Periods, Throttled, Nanos uint64 }

// Cgroup is what the kernel counts of one container that no runtime tells.
type Cgroup struct {
	Throttling          *Throttling // nil: it isn't counted
	Cache, MappedFile   uint64      // bytes
	Processes           uint64
	UserNanos, SysNanos uint64
}

// ReadCgroup reads a cgroup in either of the kernel's interfaces. What can't be
// read is 0.
func ReadCgroup(cgroups, path string) Cgroup {
	var c Cgroup
	for _, dir := range []string{filepath.Join(cgroups, "cpu", path), filepath.Join(cgroups, path)} {
		has := readCounters(filepath.Join(dir, "cpu.stat"))
		if _, ok := has["nr_periods"]; ok {
			c.Throttling = &Throttling{Periods: has["nr_periods"], Throttled: has["nr_throttled"], Nanos: has["throttled_time"] + has["throttled_usec"]*1000}
		}
		c.UserNanos += has["user_usec"] * 1000
		c.SysNanos += has["system_usec"] * 1000
	}
	times := readCounters(filepath.Join(cgroups, "cpuacct", path, "cpuacct.stat"))
	c.UserNanos += times["user"] * uint64(jiffy)
	c.SysNanos += times["system"] * uint64(jiffy)
	for _, dir := range []string{filepath.Join(cgroups, "memory", path), filepath.Join(cgroups, path)} {
		has := readCounters(filepath.Join(dir, "memory.stat"))
		c.Cache += has["cache"] + has["file"]
		c.MappedFile += has["mapped_file"] + has["file_mapped"]
	}
	for _, root := range []string{filepath.Join(cgroups, "pids", path), filepath.Join(cgroups, path)} {
		if n := len(processes(root)); n > 0 {
			c.Processes = uint64(n)
			break
		}
	}
	return c
}

// readCounters reads lines of a name and a number; nothing there is none.
func readCounters(path string) map[string]uint64 {
	out := map[string]uint64{}
	data, err := os.ReadFile(path)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(data)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out
}
