package static

import (
	"context"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/utils/clock"
)

const (
	lookAgain = 20 * time.Second       // for what the kernel didn't tell
	settle    = 100 * time.Millisecond // a file that is being written changes several times
)

// Watch calls f at once and after every change of the folder, until ctx is done. The
// folder is made if it isn't there.
func Watch(ctx context.Context, dir string, c clock.WithTicker, f func()) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(dir); err != nil {
		return err
	}
	ticker := c.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		case err := <-w.Errors:
			return err
		case <-w.Events:
			if err := quiet(ctx, c, w); err != nil {
				return err
			}
		}
	}
}

// quiet waits until the folder hasn't changed for a moment.
func quiet(ctx context.Context, c clock.WithTicker, w *fsnotify.Watcher) error {
	timer := c.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			return err
		case <-w.Events:
		case <-timer.C():
			return nil
		}
	}
}
