package containerd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

const quotaPeriod = "100000" // µs

// SetLimits bounds what a cgroup with all below it may use: µs of CPU in each 100 ms, and bytes of
// memory; -1 is no bound. It knows the kernel's first and second interface; a
// controller that isn't there bounds nothing.
func (l Layout) SetLimits(path string, quota, memory int64) error {
	cpu, ram := filepath.Join(cgroupRoot, "cpu", path), filepath.Join(cgroupRoot, "memory", path)
	q, m := strconv.FormatInt(quota, 10), strconv.FormatInt(memory, 10)
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		if quota < 0 {
			q = "max"
		}
		if memory < 0 {
			m = "max"
		}
		dir := filepath.Join(cgroupRoot, path)
		return errors.Join(write(dir, "cpu.max", q+" "+quotaPeriod), write(dir, "memory.max", m))
	}
	return errors.Join(write(cpu, "cpu.cfs_period_us", quotaPeriod), write(cpu, "cpu.cfs_quota_us", q), write(ram, "memory.limit_in_bytes", m))
}

func write(dir, name, value string) error {
	err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
