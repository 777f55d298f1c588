package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct"
)

const obeyWithin = 30 * time.Second // then the daemon isn't asked any more

// Stop ends the daemon; its containers go on and are adopted by the next Start.
func (l Layout) Stop(ctx context.Context) error { return l.stop(ctx) }

// Purge stops and removes all sandboxes and containers, then the daemon, and
// then everything that it left behind. It starts the daemon when it has to; one
// that doesn't start or obey any more is no hindrance: what it ran is killed.
func (l Layout) Purge(ctx context.Context) error {
	sockets, err := l.shimSockets()
	if err != nil {
		return fmt.Errorf("find the sockets of shims: %w", err)
	}
	if _, err := os.Stat(l.config()); err == nil {
		obey, cancel := context.WithTimeout(ctx, obeyWithin)
		refused := l.removeAll(obey)
		cancel()
		if err := errors.Join(ctx.Err(), l.stop(ctx)); err != nil {
			return errors.Join(refused, err)
		}
	} else if err := l.stop(ctx); err != nil {
		return err
	}
	if err := direct.StopLogger(ctx, l.Direct().Socket); err != nil {
		return fmt.Errorf("stop the containers' logger: %w", err)
	}
	if err := l.killAll(ctx); err != nil {
		return err
	}
	if err := Unmount(l.Dir); err != nil {
		return err
	}
	if err := l.RemoveCgroups(ctx, l.CgroupPrefix()); err != nil {
		return err
	}
	return errors.Join(removeFiles(sockets), os.RemoveAll(filepath.Dir(l.config())), os.RemoveAll(l.Direct().Dir), os.RemoveAll(l.shortDir()))
}

// removeAll asks the daemon to remove what it runs.
func (l Layout) removeAll(ctx context.Context) error {
	client, err := l.Start(ctx)
	if err != nil {
		return fmt.Errorf("start containerd to stop what it runs: %w", err)
	}
	defer client.Close()
	return errors.Join(removeSandboxes(ctx, client), direct.RemoveAll(ctx, client, l.Direct()))
}

// removeSandboxes retries, because a container that is just being killed can't be removed yet.
func removeSandboxes(ctx context.Context, client *cri.Client) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		sandboxes, err := client.ListAll(ctx, "")
		if err != nil {
			return err
		}
		var errs []error
		for _, s := range sandboxes {
			for _, c := range s.Containers {
				errs = append(errs, client.StopContainer(ctx, c.Id, 0))
			}
			errs = append(errs, client.StopSandbox(ctx, s.Id), client.RemoveSandbox(ctx, s.Id))
		}
		if len(sandboxes) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove %d sandboxes: %w", len(sandboxes), errors.Join(append(errs, ctx.Err())...))
		case <-ticker.C:
		}
	}
}

// Unmount takes away every mount below dir, the deepest first.
func Unmount(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("list the mounts below %s: %w", dir, err)
	}
	slices.SortFunc(mounts, func(a, b *mountinfo.Info) int { return strings.Compare(b.Mountpoint, a.Mountpoint) })
	for _, m := range mounts {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
		}
	}
	return nil
}
