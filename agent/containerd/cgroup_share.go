package containerd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// SetShares gives a cgroup its share of CPU, in the kernel's first or second
// interface, whichever is there.
func (l Layout) SetShares(path string, shares int64) error {
	first := filepath.Join(cgroupRoot, "cpu", path, "cpu.shares")
	err := os.WriteFile(first, []byte(strconv.FormatInt(shares, 10)), 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The range 2 to 262144 becomes 1 to 10000, as runc converts it.
	weight := 1 + (shares-2)*9999/262142
	return os.WriteFile(filepath.Join(cgroupRoot, path, "cpu.weight"), []byte(strconv.FormatInt(weight, 10)), 0)
}
