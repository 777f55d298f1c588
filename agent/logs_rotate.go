package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/reckon-project/reckon/agent/pod"
)

const (
	rotateEvery = 30 * time.Second
	largestLog  = 10 << 20
	mostLogs    = 5 // of one container's attempt, with the one being written
)

// rotateLogs keeps the containers' logs from filling the disk.
func (a *Agent) rotateLogs(ctx context.Context) error {
	if a.host.Dir == "" {
		<-ctx.Done()
		return nil
	}
	ticker := a.clock.NewTicker(rotateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		for _, view := range (pods{a}).All() {
			for name, c := range view.Containers {
				path := filepath.Join(pod.LogDir(a.o.Dir, view.Pod), pod.LogPath(name, c.Attempt))
				if err := a.rotate(ctx, c, path); err != nil {
					a.log.Warn("a log can't be rotated", "path", path, "err", err)
				}
			}
		}
	}
}

func (a *Agent) rotate(ctx context.Context, c pod.ContainerView, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (info.Size() < largestLog || !c.Running) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := filepath.Glob(path + ".*")
	if err != nil {
		return err
	}
	slices.Sort(old)
	for len(old) > mostLogs-2 {
		if err := os.Remove(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	moved := path + a.clock.Now().UTC().Format(".20060102-150405")
	if err := os.Rename(path, moved); err != nil {
		return err
	}
	if err := a.runtime.ReopenLog(ctx, c.ID); err != nil {
		return fmt.Errorf("%w (put back: %v)", err, os.Rename(moved, path))
	}
	return nil
}
