package agent

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/reckon-project/reckon/agent/logfile"
	"github.com/reckon-project/reckon/agent/pod"
)

const rotateEvery = 10 * time.Second

// rotateLogs keeps the containers' logs from filling the disk.
func (a *Agent) rotateLogs(ctx context.Context) error {
	if a.host.Dir == "" {
		<-ctx.Done()
		return nil
	}
	largest, most := cmp.Or(a.o.Upkeep.LogSize, usualLogSize), cmp.Or(a.o.Upkeep.LogFiles, usualLogFiles)
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
				if !c.Running {
					continue
				}
				path := filepath.Join(pod.LogDir(a.o.Dir, view.Pod), pod.LogPath(name, c.Attempt))
				reopen := func() error { return a.runtime.ReopenLog(ctx, c.ID) }
				due, err := logfile.Due(path, largest, reopen)
				if due {
					err = logfile.Rotate(path, most, a.clock.Now(), reopen)
				}
				if err != nil && ctx.Err() == nil {
					a.log.Warn("a log can't be rotated", "path", path, "err", err)
				}
			}
		}
	}
}
