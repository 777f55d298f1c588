package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/agent/api"
	"github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/events"
)

// serveVolumes makes what prepares the pods' volumes.
func (a *Agent) serveVolumes() error {
	for _, dir := range []string{a.podsDir(), filepath.Join(a.o.Dir, "plugins")} {
		if err := share(dir); err != nil {
			return err
		}
	}
	drivers := csi.New(csi.Options{
		Dir: a.o.Dir, Node: a.o.Node, API: api.CSINode{Client: a.api, Node: a.o.Node}, Clock: a.clock, Log: a.log,
		Changed: a.wakeNode, Registered: a.refreshAll,
	})
	a.manager = &volume.Manager{
		Dir: a.podsDir(), VolumesDir: a.volumesDir(), Objects: a.store, Tokens: a.api, Clock: a.clock, Allocatable: a.node.allocatable,
		Node: a.o.Node, CSI: drivers, Resized: a.tellResized,
	}
	a.host.Volumes = a.manager
	return nil
}

// share makes what is mounted below a folder, by a driver in a container, be seen
// on the node, and the other way round: a folder on a mount that isn't shared
// becomes a mount of its own.
func share(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(dir) // as the kernel names mounts
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	if err != nil {
		return fmt.Errorf("look for the mount of %s: %w", dir, err)
	}
	var of *mountinfo.Info
	for _, m := range mounts {
		if of == nil || len(m.Mountpoint) >= len(of.Mountpoint) {
			of = m
		}
	}
	if of != nil && strings.Contains(of.Optional, "shared:") {
		return nil
	}
	if of == nil || of.Mountpoint != dir {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("make %s a mount of its own: %w", dir, err)
		}
	}
	if err := unix.Mount("", dir, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share the mounts below %s: %w", dir, err)
	}
	return nil
}

// runDrivers registers CSI drivers.
func (a *Agent) runDrivers(ctx context.Context) error {
	if a.manager == nil {
		<-ctx.Done()
		return nil
	}
	return a.manager.CSI.Run(ctx)
}

// refreshAll has all pods look at their volumes again.
func (a *Agent) refreshAll() { a.each((*pod.Worker).Refresh) }

func (a *Agent) wakeNode() {
	select {
	case a.node.wake <- struct{}{}:
	default:
	}
}

// tellResized reports that a claim's volume is larger on this node, or why it isn't.
func (a *Agent) tellResized(r volume.Resized) {
	data, err := json.Marshal(map[string]any{"status": r.Patch()})
	if err != nil {
		a.log.Error("what became of an expansion can't be told", "claim", r.Claim.Namespace+"/"+r.Claim.Name, "err", err)
		return
	}
	a.reporter.Report(report.Fact{
		Key: events.Key{Resource: "persistentvolumeclaims", Namespace: r.Claim.Namespace, Name: r.Claim.Name}, UID: string(r.Claim.UID),
		Patch: data, Reason: r.Reason, Note: r.Note,
	})
}

// removePluginState takes away what the agent keeps for CSI drivers, and nothing of the drivers' own.
func removePluginState(dir string) error {
	err := errors.Join(os.RemoveAll(filepath.Join(dir, "plugins", "kubernetes.io")), os.RemoveAll(filepath.Join(dir, "plugins_registry")))
	if gone := os.Remove(filepath.Join(dir, "plugins")); gone != nil && !errors.Is(gone, fs.ErrNotExist) && !errors.Is(gone, unix.ENOTEMPTY) {
		err = errors.Join(err, gone)
	}
	return err
}
