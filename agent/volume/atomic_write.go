package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The links that programs know from the kubelet: <name> → ..data/<name>, and
// ..data → the folder with the present files.
const (
	dataLink = "..data"
	newLink  = "..data_tmp"
)

// writeAtomically makes the volume at root show exactly these files. Nothing is
// touched when it does already; what an agent left undone that was killed is done then.
func writeAtomically(root string, want files, now time.Time, group *int64) error {
	current, err := os.Readlink(filepath.Join(root, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && same(filepath.Join(root, current), want) {
		return linkNames(root, want, current)
	}
	dir := now.UTC().Format("..2006_01_02_15_04_05.000000000")
	if err := writeAll(filepath.Join(root, dir), want, group); err != nil {
		return fmt.Errorf("write the files of the volume: %w", err)
	}
	if err := os.Remove(filepath.Join(root, newLink)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(dir, filepath.Join(root, newLink)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(root, newLink), filepath.Join(root, dataLink)); err != nil {
		return err
	}
	return linkNames(root, want, dir)
}

func writeAll(dir string, want files, group *int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for path, f := range want {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, f.data, 0o600); err != nil {
			return err
		}
		mode, owner, owning := os.FileMode(f.mode), -1, -1
		if f.user != nil {
			owner = int(*f.user)
		}
		if group != nil {
			owning = int(*group)
			mode |= 0o440
		}
		if owner >= 0 || owning >= 0 {
			if err := os.Lchown(full, owner, owning); err != nil {
				return err
			}
		}
		if err := os.Chmod(full, mode); err != nil {
			return err
		}
	}
	return nil
}

// linkNames makes the links that people open, and removes those of files that went
// and all folders but the current one.
func linkNames(root string, want files, current string) error {
	tops := map[string]bool{}
	for path := range want {
		top, _, _ := strings.Cut(path, "/")
		tops[top] = true
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	var stale []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			if e.IsDir() && e.Name() != current {
				stale = append(stale, filepath.Join(root, e.Name()))
			}
			continue
		}
		if tops[e.Name()] {
			delete(tops, e.Name())
			continue
		}
		if err := os.Remove(filepath.Join(root, e.Name())); err != nil {
			return err
		}
	}
	for top := range tops {
		if err := os.Symlink(filepath.Join(dataLink, top), filepath.Join(root, top)); err != nil {
			return err
		}
	}
	for _, dir := range stale {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether a folder has exactly these files with this content.
func same(dir string, want files) bool {
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if f, ok := want[name]; !ok || !bytes.Equal(f.data, data) {
			return fs.ErrExist
		}
		seen++
		return nil
	})
	return err == nil && seen == len(want)
}
