package csidriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NodeGetInfo says which node this is.
func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	out := &csi.NodeGetInfoResponse{NodeId: d.NodeID, MaxVolumesPerNode: d.MaxVolumes}
	if len(d.Topology) > 0 {
		out.AccessibleTopology = &csi.Topology{Segments: d.Topology}
	}
	return out, nil
}

// NodeGetCapabilities says what is to be done on nodes.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	types := []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME, csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS, csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	}
	if d.MountGroup {
		types = append(types, csi.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP)
	}
	out := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range types {
		out.Capabilities = append(out.Capabilities, &csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}}})
	}
	return out, nil
}

// NodeStageVolume mounts a volume's folder at the staging path, or connects its loop device.
func (d *Driver) NodeStageVolume(_ context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"staging target path", r.StagingTargetPath}); err != nil {
		return nil, err
	}
	if err := checkCapability(r.VolumeCapability); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if d.Attached && r.PublishContext["attached"] != "true" {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s isn't attached", v.ID)
	}
	if v.Block {
		_, err := d.connect(v)
		return &csi.NodeStageVolumeResponse{}, internal(err)
	}
	return &csi.NodeStageVolumeResponse{}, internal(bind(d.data(v.ID), r.StagingTargetPath, false))
}

// NodeUnstageVolume undoes it.
func (d *Driver) NodeUnstageVolume(_ context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"staging target path", r.StagingTargetPath}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.volumes[r.VolumeId]; v != nil && v.Block {
		return &csi.NodeUnstageVolumeResponse{}, internal(d.disconnect(v))
	}
	return &csi.NodeUnstageVolumeResponse{}, internal(unbind(r.StagingTargetPath))
}

// NodePublishVolume mounts what is staged at the target path.
func (d *Driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"target path", r.TargetPath}); err != nil {
		return nil, err
	}
	if err := checkCapability(r.VolumeCapability); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.VolumeContext["csi.storage.k8s.io/ephemeral"] == "true" && d.volumes[r.VolumeId] == nil {
		v := &volume{ID: r.VolumeId, Name: "inline", Nodes: map[string]string{}}
		if err := d.make(v); err != nil {
			return nil, internal(err)
		}
		d.volumes[v.ID] = v
	}
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if r.VolumeCapability.GetAccessMode().GetMode() == csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER {
		if v.Single != "" && v.Single != r.TargetPath {
			return nil, status.Errorf(codes.FailedPrecondition, "volume %s is published at %s", v.ID, v.Single)
		}
		v.Single = r.TargetPath
	}
	if v.Block {
		device, err := d.connect(v)
		if err != nil {
			return nil, internal(err)
		}
		return &csi.NodePublishVolumeResponse{}, internal(bindFile(device, r.TargetPath))
	}
	if err := os.MkdirAll(r.TargetPath, 0o750); err != nil {
		return nil, internal(err)
	}
	if err := d.give(d.data(v.ID), r.VolumeCapability.GetMount().GetVolumeMountGroup()); err != nil {
		return nil, internal(err)
	}
	return &csi.NodePublishVolumeResponse{}, internal(bind(d.data(v.ID), r.TargetPath, r.Readonly))
}

// give lets a group write, as a mount option would on other file systems.
func (d *Driver) give(path, group string) error {
	if group == "" {
		return nil
	}
	id, err := strconv.Atoi(group)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(path, -1, id), os.Chmod(path, 0o775|os.ModeSetgid))
}

// NodeUnpublishVolume undoes it; an inline volume goes.
func (d *Driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"target path", r.TargetPath}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := unbind(r.TargetPath); err != nil {
		return nil, internal(err)
	}
	if err := os.Remove(r.TargetPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, internal(err)
	}
	v := d.volumes[r.VolumeId]
	if v != nil && v.Single == r.TargetPath {
		v.Single = ""
	}
	if v != nil && v.Name == "inline" {
		delete(d.volumes, v.ID)
		return &csi.NodeUnpublishVolumeResponse{}, internal(os.RemoveAll(d.dir(v.ID)))
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeExpandVolume takes in that a volume became larger.
func (d *Driver) NodeExpandVolume(_ context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"volume path", r.VolumePath}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.VolumePath); err != nil {
		return nil, status.Errorf(codes.NotFound, "volume %s isn't at %s", v.ID, r.VolumePath)
	}
	v.NodeSize = max(v.NodeSize, r.GetCapacityRange().GetRequiredBytes())
	if v.Block {
		device, err := d.connect(v)
		if err != nil {
			return nil, internal(err)
		}
		if out, err := exec.Command("losetup", "--set-capacity", device).CombinedOutput(); err != nil {
			return nil, status.Errorf(codes.Internal, "%v: %s", err, out)
		}
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: v.NodeSize}, internal(d.save(v))
}

// NodeGetVolumeStats says how large a volume is.
func (d *Driver) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"volume path", r.VolumePath}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.VolumePath); err != nil {
		return nil, status.Errorf(codes.NotFound, "volume %s isn't at %s", v.ID, r.VolumePath)
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{{Unit: csi.VolumeUsage_BYTES, Total: v.Size}}}, nil
}

func bind(source, target string, readOnly bool) error {
	mounted, err := mountinfo.Mounted(target)
	if err != nil || mounted {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	if readOnly {
		return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	return nil
}

func bindFile(source, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o640)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), bind(source, target, false))
}

func unbind(path string) error {
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}

// connect gives the loop device of a volume, and makes one if there is none.
func (d *Driver) connect(v *volume) (string, error) {
	devices, err := d.connected(v)
	if err != nil || len(devices) > 0 {
		return strings.Join(devices, ""), err
	}
	out, err := exec.Command("losetup", "--find", "--show", d.data(v.ID)).Output()
	return strings.TrimSpace(string(out)), err
}

func (d *Driver) connected(v *volume) ([]string, error) {
	out, err := exec.Command("losetup", "--noheadings", "--output", "NAME", "--associated", d.data(v.ID)).Output()
	return strings.Fields(string(out)), err
}

func (d *Driver) disconnect(v *volume) error {
	devices, err := d.connected(v)
	for _, device := range devices {
		if out, failed := exec.Command("losetup", "--detach", device).CombinedOutput(); failed != nil {
			err = errors.Join(err, fmt.Errorf("detach %s: %w: %s", device, failed, out))
		}
	}
	return err
}
