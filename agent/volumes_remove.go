package agent

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/events"
)

// removeAgain is how long a folder that can't be removed is left alone.
const removeAgain = 30 * time.Second

// volumesDir is where the node's own persistent volumes lie. They outlive the
// pods, the agent, and `reckon down`.
func (a *Agent) volumesDir() string {
	if a.o.Dir == "" {
		return "/var/lib/reckon/pretended" // nothing is ever made there
	}
	return filepath.Join(a.o.Dir, "volumes")
}

// doomed are the volumes whose folder is to be removed, the newest version of each.
type doomed struct {
	mu      sync.Mutex
	waiting map[string]*v1.PersistentVolume // by uid
	removed map[string]struct{}             // uids that were reported
	wake    chan struct{}
}

// mostRemoved bounds what is remembered: to report a folder twice does no harm.
const mostRemoved = 1000

func newDoomed() doomed {
	return doomed{waiting: map[string]*v1.PersistentVolume{}, removed: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// doom remembers a volume of the feed if its folder is to be removed.
func (a *Agent) doom(v *v1.PersistentVolume) {
	if !volume.Doomed(v, a.o.Node) {
		return
	}
	a.doomed.mu.Lock()
	if _, done := a.doomed.removed[string(v.UID)]; !done {
		a.doomed.waiting[string(v.UID)] = v
	}
	a.doomed.mu.Unlock()
	select {
	case a.doomed.wake <- struct{}{}:
	default:
	}
}

func (d *doomed) take() []*v1.PersistentVolume {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*v1.PersistentVolume
	for _, uid := range slices.Sorted(maps.Keys(d.waiting)) {
		out = append(out, d.waiting[uid])
	}
	clear(d.waiting)
	return out
}

// removeVolumes removes folders and reports that they are gone.
func (a *Agent) removeVolumes(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.doomed.wake:
		}
		for _, v := range a.doomed.take() {
			if err := a.removeVolume(v); err != nil {
				a.log.Error("a volume's folder can't be removed yet", "volume", v.Name, "err", err)
				a.clock.AfterFunc(removeAgain, func() { a.doom(v) })
			}
		}
	}
}

func (a *Agent) removeVolume(v *v1.PersistentVolume) error {
	if a.o.Runtime == nil {
		if err := a.manager.RemoveFolder(v); err != nil {
			return err
		}
	}
	data, err := json.Marshal(map[string]any{"status": map[string]any{"reason": volume.FolderRemoved}})
	if err != nil {
		return err
	}
	a.doomed.mu.Lock()
	if len(a.doomed.removed) >= mostRemoved {
		clear(a.doomed.removed)
	}
	a.doomed.removed[string(v.UID)] = struct{}{}
	a.doomed.mu.Unlock()
	a.reporter.Report(report.Fact{
		Key: events.Key{Resource: "persistentvolumes", Name: v.Name}, UID: string(v.UID), Patch: data,
		Reason: "VolumeDeleted", Note: "Removed the folder of volume " + v.Name,
	})
	return nil
}
