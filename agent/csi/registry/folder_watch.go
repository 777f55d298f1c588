package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/utils/clock"
)

const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 2 * time.Minute
)

// Handler takes plugins of one type.
type Handler interface {
	// Register takes in a plugin that listens at endpoint.
	Register(ctx context.Context, name, endpoint string, versions []string) error
	// Deregister says that the plugin's socket is gone.
	Deregister(ctx context.Context, name, endpoint string)
}

// Watcher watches one folder.
type Watcher struct {
	Dir      string
	Handlers map[string]Handler // by the plugins' type
	Clock    clock.Clock
	Log      *slog.Logger

	seen map[string]*socket
}

// socket is what is known of one.
type socket struct {
	path string
	id   identity
	info info
	done bool // registered, or nothing to do
	wait time.Duration
	next time.Time
}

// identity tells a socket from one that was made in its place.
type identity struct {
	inode uint64
	made  syscall.Timespec
}

// Run makes the folder and watches it until ctx is done. Plugins stay registered then.
func (w *Watcher) Run(ctx context.Context) error {
	if err := os.MkdirAll(w.Dir, 0o750); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.Dir, err)
	}
	defer watcher.Close()
	if w.seen == nil {
		w.seen = map[string]*socket{}
	}
	for ctx.Err() == nil {
		if err := w.scan(ctx, watcher); err != nil {
			return err
		}
		w.register(ctx)
		timer := w.Clock.NewTimer(w.untilNext())
		select {
		case <-ctx.Done():
		case <-timer.C():
		case _, ok := <-watcher.Events:
			if !ok {
				return errors.New("the watch of the plugins' folder ended")
			}
			drain(watcher.Events)
		case err := <-watcher.Errors:
			w.Log.Warn("the plugins' folder may have changed unseen", "err", err)
		}
		timer.Stop()
	}
	return nil
}

func drain(events <-chan fsnotify.Event) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}

// scan looks at which sockets there are. Those that went are deregistered.
func (w *Watcher) scan(ctx context.Context, watcher *fsnotify.Watcher) error {
	there := map[string]identity{}
	err := filepath.WalkDir(w.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case err != nil:
			return err
		case d.IsDir():
			if err := watcher.Add(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("watch %s: %w", path, err)
			}
		case d.Type()&fs.ModeSocket != 0 && !strings.HasPrefix(d.Name(), "."):
			if id, ok := identify(path); ok {
				there[path] = id
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for path, s := range w.seen {
		if id, ok := there[path]; ok && id == s.id {
			continue
		}
		delete(w.seen, path)
		if h := w.Handlers[s.info.kind]; h != nil && s.done {
			h.Deregister(ctx, s.info.name, s.info.endpoint)
		}
	}
	for path, id := range there {
		if w.seen[path] == nil {
			w.seen[path] = &socket{path: path, id: id, next: w.Clock.Now()}
		}
	}
	return nil
}

func identify(path string) (identity, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return identity{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, true
	}
	return identity{stat.Ino, stat.Mtim}, true
}

// register registers, at once, all that are due.
func (w *Watcher) register(ctx context.Context) {
	now := w.Clock.Now()
	var all sync.WaitGroup
	for _, path := range slices.Sorted(maps.Keys(w.seen)) {
		s := w.seen[path]
		if s.done || s.next.After(now) {
			continue
		}
		all.Go(func() {
			err := w.one(ctx, s)
			if err == nil {
				s.done = true
				return
			}
			s.wait = min(max(2*s.wait, firstRetry), lastRetry)
			s.next = w.Clock.Now().Add(s.wait)
			w.Log.Warn("a plugin isn't registered yet", "socket", s.path, "err", err)
		})
	}
	all.Wait()
}

func (w *Watcher) untilNext() time.Duration {
	next := time.Hour
	for _, s := range w.seen {
		if !s.done {
			next = min(next, max(s.next.Sub(w.Clock.Now()), time.Millisecond))
		}
	}
	return next
}
