package csidriver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// volume is what is kept of one.
type volume struct {
	ID, Name string
	Size     int64
	Block    bool
	Nodes    map[string]string // attached to: the access mode and whether it is read-only
	NodeSize int64             // that a node was told of
	Single   string            // the one target that a single writer has
}

func (d *Driver) dir(id string) string { return filepath.Join(d.Dir, "volumes", id) }

// data is where a volume's content lies: a folder, or a file behind a loop device.
func (d *Driver) data(id string) string { return filepath.Join(d.dir(id), "data") }

func load(dir string) (map[string]*volume, error) {
	out := map[string]*volume{}
	files, err := filepath.Glob(filepath.Join(dir, "volumes", "*", "volume.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		v := &volume{}
		if err := json.Unmarshal(data, v); err != nil {
			return nil, err
		}
		out[v.ID] = v
	}
	return out, nil
}

func (d *Driver) save(v *volume) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir(v.ID), "volume.json"), data, 0o600)
}

// find gives a volume, or why there is none. The caller holds the lock.
func (d *Driver) find(id string) (*volume, error) {
	if id == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume id is needed")
	}
	v := d.volumes[id]
	if v == nil {
		return nil, status.Errorf(codes.NotFound, "there is no volume %s", id)
	}
	return v, nil
}

var modes = []csi.VolumeCapability_AccessMode_Mode{
	csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
	csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY,
}

// checkCapability refuses what volumes can't be.
func checkCapability(c *csi.VolumeCapability) error {
	switch {
	case c == nil:
		return status.Error(codes.InvalidArgument, "a volume capability is needed")
	case c.GetBlock() == nil && c.GetMount() == nil:
		return status.Error(codes.InvalidArgument, "a capability has an access type")
	case !slices.Contains(modes, c.GetAccessMode().GetMode()):
		return status.Errorf(codes.InvalidArgument, "volumes are of one node, and can't be %s", c.GetAccessMode().GetMode())
	}
	return nil
}

// need refuses a request that leaves something out.
func need(fields ...[2]string) error {
	for _, f := range fields {
		if f[1] == "" {
			return status.Errorf(codes.InvalidArgument, "a %s is needed", f[0])
		}
	}
	return nil
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.Internal, err.Error())
}
