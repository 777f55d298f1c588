package logfile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	stamp   = "20060102-150405"
	zipped  = ".gz"
	partial = ".tmp"
)

// Due reports whether a log has grown larger than it may. One that isn't there was put
// aside by somebody who was killed then: its writer begins it anew (reopen), or it would
// go on in the file that was put aside, which nobody looks at.
func Due(path string, largest int64, reopen func() error) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, reopen()
	}
	return err == nil && info.Size() > largest, err
}

// Rotate puts a log aside. reopen has its writer begin it anew; if that fails the
// log stays where it was.
func Rotate(path string, most int, now time.Time, reopen func() error) error {
	old, err := rotated(path)
	if err != nil {
		return err
	}
	for len(old) > max(most-2, 0) {
		if err := os.Remove(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	for _, file := range old {
		if !strings.HasSuffix(file, zipped) {
			if err := compress(file); err != nil {
				return fmt.Errorf("compress %s: %w", file, err)
			}
		}
	}
	aside := path + "." + now.UTC().Format(stamp)
	if _, err := os.Lstat(aside); err == nil {
		return nil // there was one in this very second
	}
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	if err := reopen(); err != nil {
		return errors.Join(err, os.Rename(aside, path))
	}
	if most < 2 {
		return os.Remove(aside)
	}
	return nil
}

// rotated gives the files that were put aside, the oldest first, and removes
// what an interrupted compression left.
func rotated(path string) ([]string, error) {
	found, err := filepath.Glob(path + ".*")
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	var out []string
	for _, file := range found {
		if strings.HasSuffix(file, partial) {
			if err := os.Remove(file); err != nil {
				return nil, err
			}
			continue
		}
		if plain, ok := strings.CutSuffix(file, zipped); ok && slices.Contains(found, plain) {
			if err := os.Remove(plain); err != nil { // it was compressed, and not removed any more
				return nil, err
			}
			out = slices.DeleteFunc(out, func(s string) bool { return s == plain })
		}
		out = append(out, file)
	}
	return out, nil
}

func compress(file string) (err error) {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(file+zipped+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	w := gzip.NewWriter(out)
	_, err = io.Copy(w, in)
	if err = errors.Join(err, w.Close(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	if err := os.Rename(out.Name(), file+zipped); err != nil {
		return err
	}
	return os.Remove(file)
}
