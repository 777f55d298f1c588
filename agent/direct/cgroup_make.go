package direct

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// makeCgroup makes the cgroup that a pod's containers will be in, so that it
// can be given its share and its bounds before the first of them.
func makeCgroup(path string) error {
	if path == "" {
		return nil
	}
	roots := []string{cgroups}
	if !unified() {
		roots = []string{filepath.Join(cgroups, "cpu"), filepath.Join(cgroups, "memory")}
	}
	for _, root := range roots {
		if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
			return fmt.Errorf("make cgroup %s: %w", path, err)
		}
	}
	if !unified() {
		return nil
	}
	// A cgroup has the controllers that all above it hand on.
	above := cgroups
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if err := handOnControllers(above); err != nil {
			return fmt.Errorf("make cgroup %s: %w", path, err)
		}
		above = filepath.Join(above, part)
	}
	return nil
}

func handOnControllers(dir string) error {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var wanted []string
	for name := range strings.FieldsSeq(string(have)) {
		wanted = append(wanted, "+"+name)
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(strings.Join(wanted, " ")), 0o644)
}
