package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Incarnation gives a number above all that earlier starts of this node got,
// and keeps it in dir ("": the clock alone decides).
func Incarnation(dir string, now time.Time) (uint64, error) {
	next := uint64(now.UnixMilli())
	if dir == "" {
		return next, nil
	}
	path := filepath.Join(dir, "incarnation")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("read the last incarnation: %w", err)
	}
	if err == nil {
		last, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the last incarnation in %s can't be read: %w", path, err)
		}
		next = max(next, last+1)
	}
	return next, writeDurably(path, []byte(strconv.FormatUint(next, 10)))
}

func writeDurably(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}
