package csi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	csispec "github.com/container-storage-interface/spec/lib/go/csi"
)

// StageError says that a volume couldn't be made ready for the node.
type StageError struct{ error }

// Unwrap gives what went wrong.
func (e *StageError) Unwrap() error { return e.error }

// Publish has a volume mounted for a pod and gives its path: a folder, or a device
// of a block volume. What is there already costs nothing.
func (n *Node) Publish(ctx context.Context, uid string, v Volume) (string, error) {
	defer n.volumes.lock(v.key())()
	r := &record{Name: v.Name, Handle: v.Handle, Driver: v.Driver, Node: n.Node, Attachment: v.Attachment, Mode: string(v.mode()), dir: n.podVolumeDir(uid, &v)}
	r.Target = filepath.Join(r.dir, "mount")
	old, err := read(r.dir)
	if err != nil {
		return "", err
	}
	there := old != nil && old.Done && old.key() == r.key() && n.alive(old.Target)
	if there && !v.Republish {
		return old.Target, nil
	}
	if old != nil && old.key() != r.key() {
		return "", fmt.Errorf("%s is the path of volume %s, which isn't unpublished yet", old.Target, old.Handle)
	}
	d, err := n.driver(v.Driver)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	r.Done = there
	if err := r.write(); err != nil {
		return "", err
	}
	n.use(r, true)
	n.Changed()
	staging, err := n.stage(ctx, d, &v)
	if err != nil {
		return "", &StageError{err}
	}
	_, err = d.node.NodePublishVolume(ctx, &csispec.NodePublishVolumeRequest{
		VolumeId: v.Handle, PublishContext: v.PublishContext, StagingTargetPath: staging, TargetPath: r.Target,
		VolumeCapability: v.capability(d), Readonly: v.ReadOnly, Secrets: v.PublishSecrets, VolumeContext: v.Attributes,
	})
	if err != nil {
		return "", err
	}
	if there {
		return r.Target, nil
	}
	if v.Own != nil && !d.can[csispec.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP] {
		if err := v.Own(r.Target); err != nil {
			return "", err
		}
	}
	r.Done = true
	n.setAlive(r.Target, true)
	return r.Target, r.write()
}

// stage has a driver make a volume ready for the node, if it wants to be asked, and
// gives the path.
func (n *Node) stage(ctx context.Context, d *driver, v *Volume) (string, error) {
	if v.Ephemeral || !d.can[csispec.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME] {
		return "", nil
	}
	r := &record{Name: v.Name, Handle: v.Handle, Driver: v.Driver, Node: n.Node, Attachment: v.Attachment, dir: n.stagingDir(v)}
	r.Target = filepath.Join(r.dir, "globalmount")
	old, err := read(r.dir)
	if err != nil {
		return "", err
	}
	if old != nil && old.Done && n.alive(old.Target) {
		return r.Target, nil
	}
	if err := r.write(); err != nil {
		return "", err
	}
	n.use(r, true)
	if err := os.MkdirAll(r.Target, 0o750); err != nil {
		return "", err
	}
	_, err = d.node.NodeStageVolume(ctx, &csispec.NodeStageVolumeRequest{
		VolumeId: v.Handle, PublishContext: v.PublishContext, StagingTargetPath: r.Target,
		VolumeCapability: v.capability(d), Secrets: v.StageSecrets, VolumeContext: v.Attributes,
	})
	if err != nil {
		return "", err
	}
	r.Done = true
	n.setAlive(r.Target, true)
	return r.Target, r.write()
}

// Expand has a driver make a pod's volume as large as the cluster says it is. A
// driver that doesn't want to be asked has nothing to do for that.
func (n *Node) Expand(ctx context.Context, uid string, v Volume, bytes int64) error {
	defer n.volumes.lock(v.key())()
	d, err := n.driver(v.Driver)
	if err != nil {
		return err
	}
	if !d.can[csispec.NodeServiceCapability_RPC_EXPAND_VOLUME] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	r := &csispec.NodeExpandVolumeRequest{
		VolumeId: v.Handle, VolumePath: filepath.Join(n.podVolumeDir(uid, &v), "mount"), CapacityRange: &csispec.CapacityRange{RequiredBytes: bytes},
		VolumeCapability: v.capability(d), Secrets: v.ExpandSecrets,
	}
	if d.can[csispec.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME] {
		r.StagingTargetPath = filepath.Join(n.stagingDir(&v), "globalmount")
	}
	_, err = d.node.NodeExpandVolume(ctx, r)
	return err
}
