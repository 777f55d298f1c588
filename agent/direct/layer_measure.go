package direct

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// measureAgain is how old a measurement of a layer may be: each looks at all of its files.
const measureAgain = 10 * time.Second

// measureLayer gives what a container has written to its root file system; nil
// when it is gone.
func (r *Runtime) measureLayer(ctx context.Context, id string) (*runtimeapi.FilesystemUsage, error) {
	now := time.Now()
	if known := r.usage.layer(id); known != nil && now.Sub(time.Unix(0, known.Timestamp)) < measureAgain {
		return known, nil
	}
	used, err := r.daemon.SnapshotService(snapshotter).Usage(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(err, "measure the writable layer of %s", id)
	}
	out := &runtimeapi.FilesystemUsage{
		Timestamp: now.UnixNano(), UsedBytes: &runtimeapi.UInt64Value{Value: uint64(used.Size)}, InodesUsed: &runtimeapi.UInt64Value{Value: uint64(used.Inodes)},
	}
	r.usage.mu.Lock()
	defer r.usage.mu.Unlock()
	if r.usage.layers == nil {
		r.usage.layers = map[string]*runtimeapi.FilesystemUsage{}
	}
	r.usage.layers[id] = out
	return out, nil
}

func (u *usage) layer(id string) *runtimeapi.FilesystemUsage {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.layers[id]
}
