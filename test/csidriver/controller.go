package csidriver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	defaultSize = 1 << 20
	largest     = 1 << 45
)

// ControllerGetCapabilities says what can be done with volumes.
func (d *Driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	out := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME, csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES, csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		out.Capabilities = append(out.Capabilities, &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}}})
	}
	return out, nil
}

// CreateVolume makes a volume, or finds the one of that name.
func (d *Driver) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if err := need([2]string{"name", r.Name}); err != nil {
		return nil, err
	}
	if len(r.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a volume capability is needed")
	}
	block := false
	for _, c := range r.VolumeCapabilities {
		if err := checkCapability(c); err != nil {
			return nil, err
		}
		block = block || c.GetBlock() != nil
	}
	size, most := max(r.GetCapacityRange().GetRequiredBytes(), defaultSize), r.GetCapacityRange().GetLimitBytes()
	if size > largest || most > 0 && size > most {
		return nil, status.Errorf(codes.OutOfRange, "a volume has from %d to %d bytes", defaultSize, int64(largest))
	}
	id := fmt.Sprintf("v-%x", sha256.Sum256([]byte(r.Name)))[:18]
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.volumes[id]
	if v != nil && (v.Size < size || most > 0 && v.Size > most || v.Block != block) {
		return nil, status.Errorf(codes.AlreadyExists, "volume %s has %d bytes", r.Name, v.Size)
	}
	if v == nil {
		v = &volume{ID: id, Name: r.Name, Size: size, Block: block, Nodes: map[string]string{}}
		if err := d.make(v); err != nil {
			return nil, internal(err)
		}
		d.volumes[id] = v
	}
	out := &csi.Volume{VolumeId: id, CapacityBytes: v.Size, VolumeContext: r.Parameters}
	if len(d.Topology) > 0 {
		out.AccessibleTopology = []*csi.Topology{{Segments: d.Topology}}
	}
	return &csi.CreateVolumeResponse{Volume: out}, nil
}

func (d *Driver) make(v *volume) error {
	if err := os.MkdirAll(d.dir(v.ID), 0o755); err != nil {
		return err
	}
	if v.Block {
		if err := os.WriteFile(d.data(v.ID), nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(d.data(v.ID), v.Size); err != nil {
			return err
		}
		return d.save(v)
	}
	if err := os.MkdirAll(d.data(v.ID), 0o777); err != nil {
		return err
	}
	return d.save(v)
}

// DeleteVolume removes a volume; one that isn't there is removed.
func (d *Driver) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.volumes[r.VolumeId] == nil {
		return &csi.DeleteVolumeResponse{}, nil
	}
	delete(d.volumes, r.VolumeId)
	return &csi.DeleteVolumeResponse{}, internal(os.RemoveAll(d.dir(r.VolumeId)))
}

// ControllerPublishVolume attaches a volume, and says so in what nodes are to be told.
func (d *Driver) ControllerPublishVolume(_ context.Context, r *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}, [2]string{"node id", r.NodeId}); err != nil {
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
	if r.NodeId != d.NodeID {
		return nil, status.Errorf(codes.NotFound, "there is no node %s", r.NodeId)
	}
	how := fmt.Sprint(r.VolumeCapability.GetAccessMode().GetMode(), r.Readonly)
	if was, ok := v.Nodes[r.NodeId]; ok && was != how {
		return nil, status.Errorf(codes.AlreadyExists, "volume %s is attached in another way", v.ID)
	}
	v.Nodes[r.NodeId] = how
	return &csi.ControllerPublishVolumeResponse{PublishContext: map[string]string{"attached": "true"}}, internal(d.save(v))
}

// ControllerUnpublishVolume detaches a volume.
func (d *Driver) ControllerUnpublishVolume(_ context.Context, r *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	if err := need([2]string{"volume id", r.VolumeId}); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.volumes[r.VolumeId]
	if v == nil {
		return &csi.ControllerUnpublishVolumeResponse{}, nil
	}
	if r.NodeId == "" {
		clear(v.Nodes)
	}
	delete(v.Nodes, r.NodeId)
	return &csi.ControllerUnpublishVolumeResponse{}, internal(d.save(v))
}

// ValidateVolumeCapabilities says whether a volume can be used so.
func (d *Driver) ValidateVolumeCapabilities(_ context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if len(r.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a volume capability is needed")
	}
	for _, c := range r.VolumeCapabilities {
		if err := checkCapability(c); err != nil || (c.GetBlock() != nil) != v.Block {
			return &csi.ValidateVolumeCapabilitiesResponse{Message: "volumes are of one node, and of one type"}, nil
		}
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeCapabilities: r.VolumeCapabilities, VolumeContext: r.VolumeContext, Parameters: r.Parameters}}, nil
}

// ListVolumes lists volumes by id; a token is the number of those seen.
func (d *Driver) ListVolumes(_ context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := slices.Sorted(maps.Keys(d.volumes))
	from := 0
	if r.StartingToken != "" {
		n, err := strconv.Atoi(r.StartingToken)
		if err != nil || n < 0 || n > len(ids) {
			return nil, status.Errorf(codes.Aborted, "%s is no token of this list", r.StartingToken)
		}
		from = n
	}
	to := len(ids)
	if r.MaxEntries > 0 {
		to = min(to, from+int(r.MaxEntries))
	}
	out := &csi.ListVolumesResponse{}
	for _, id := range ids[from:to] {
		out.Entries = append(out.Entries, &csi.ListVolumesResponse_Entry{Volume: &csi.Volume{VolumeId: id, CapacityBytes: d.volumes[id].Size}})
	}
	if to < len(ids) {
		out.NextToken = strconv.Itoa(to)
	}
	return out, nil
}

// ControllerExpandVolume makes a volume larger; its node is to be told.
func (d *Driver) ControllerExpandVolume(_ context.Context, r *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.find(r.VolumeId)
	if err != nil {
		return nil, err
	}
	size := r.GetCapacityRange().GetRequiredBytes()
	if size <= 0 {
		return nil, status.Error(codes.InvalidArgument, "a size is needed")
	}
	if size > largest {
		return nil, status.Errorf(codes.OutOfRange, "a volume has at most %d bytes", int64(largest))
	}
	v.Size = max(v.Size, size)
	if v.Block {
		if err := os.Truncate(d.data(v.ID), v.Size); err != nil {
			return nil, internal(err)
		}
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Size, NodeExpansionRequired: true}, internal(d.save(v))
}
