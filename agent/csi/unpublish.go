package csi

import (
	"context"
	"fmt"

	csispec "github.com/container-storage-interface/spec/lib/go/csi"
)

// Unpublish takes all of a pod's volumes away, and makes those that no other pod
// has unready again. It may be called again at any time.
func (n *Node) Unpublish(ctx context.Context, uid string) error {
	records, err := n.recordsOf(uid)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := n.unpublish(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) unpublish(ctx context.Context, r *record) error {
	defer n.volumes.lock(r.key())()
	d, err := n.driver(r.Driver)
	if err != nil {
		return fmt.Errorf("UnmountVolume.TearDown failed for volume %q : %w", r.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if _, err := d.node.NodeUnpublishVolume(ctx, &csispec.NodeUnpublishVolumeRequest{VolumeId: r.Handle, TargetPath: r.Target}); err != nil {
		return fmt.Errorf("UnmountVolume.TearDown failed for volume %q : %w", r.Name, err)
	}
	n.setAlive(r.Target, false)
	// The pod's record goes after the volume was unstaged: it is what a restarted agent goes on from.
	if err := n.unstage(ctx, d, r); err != nil {
		return fmt.Errorf("UnmountDevice failed for volume %q : %w", r.Name, err)
	}
	if err := r.remove(); err != nil {
		return err
	}
	n.use(r, false)
	n.Changed()
	return nil
}

// unstage makes a volume unready if but is the only record of a pod that has it.
func (n *Node) unstage(ctx context.Context, d *driver, but *record) error {
	v := &Volume{Driver: but.Driver, Handle: but.Handle}
	r, err := read(n.stagingDir(v))
	if err != nil || r == nil {
		return err
	}
	used, err := n.usedBeside(but)
	if err != nil || used {
		return err
	}
	if _, err := d.node.NodeUnstageVolume(ctx, &csispec.NodeUnstageVolumeRequest{VolumeId: r.Handle, StagingTargetPath: r.Target}); err != nil {
		return err
	}
	n.setAlive(r.Target, false)
	if err := r.remove(); err != nil {
		return err
	}
	n.use(r, false)
	return nil
}

// usedBeside reports whether a pod has a volume beside the one of a record.
func (n *Node) usedBeside(but *record) (bool, error) {
	all, err := n.recordsOf("*")
	if err != nil {
		return false, err
	}
	for _, r := range all {
		if r.key() == but.key() && r.dir != but.dir {
			return true, nil
		}
	}
	return false, nil
}

// cleanUp unstages beside all else what no pod has of a driver: its registration doesn't
// wait for it, nor do other drivers'.
func (n *Node) cleanUp(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := n.ctx
	n.cleaning.Go(func() { n.unstageUnused(ctx, name) })
}

// unstageUnused makes unready what no pod has any more: an earlier agent ended
// before it came to it.
func (n *Node) unstageUnused(ctx context.Context, name string) {
	staged, err := n.stagedRecords(name)
	if err != nil {
		n.Log.Error("what a CSI driver had staged isn't known", "driver", name, "err", err)
		return
	}
	for _, r := range staged {
		if err := n.unstageIfUnused(ctx, r); err != nil {
			n.Log.Warn("a volume that no pod uses stays staged", "driver", name, "volume", r.Handle, "err", err)
		}
	}
}

func (n *Node) unstageIfUnused(ctx context.Context, r *record) error {
	defer n.volumes.lock(r.key())()
	d, err := n.driver(r.Driver)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return n.unstage(ctx, d, r) // no pod's record is r
}
