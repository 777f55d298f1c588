package csi

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"

	csispec "github.com/container-storage-interface/spec/lib/go/csi"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Volume is what a pod is to get.
type Volume struct {
	Name           string // the persistent volume's, or an inline volume's in its pod
	Driver, Handle string
	Ephemeral      bool // inline: it lives and dies with the pod
	Block          bool
	ReadOnly       bool
	FSType         string
	AccessMode     v1.PersistentVolumeAccessMode
	MountOptions   []string
	Attributes     map[string]string

	// Attachment names the VolumeAttachment that the volume needs ("": none), and
	// PublishContext is what the driver said when it attached the volume.
	Attachment     string
	PublishContext map[string]string

	StageSecrets, PublishSecrets, ExpandSecrets map[string]string

	Group *int64 // of the pod, for drivers that see to it themselves
	// Republish asks the driver again although the volume is there.
	Republish bool
	// Own is called with a volume's path when it was published and before it counts as
	// done, if the driver doesn't see to the group itself; it may be nil.
	Own func(path string) error
}

func (v *Volume) key() volumeKey { return volumeKey{v.Driver, v.Handle} }

func (v *Volume) mode() storagev1.VolumeLifecycleMode {
	if v.Ephemeral {
		return storagev1.VolumeLifecycleEphemeral
	}
	return storagev1.VolumeLifecyclePersistent
}

// EphemeralHandle is the handle of an inline volume of a pod.
func EphemeralHandle(uid, name string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(uid+name)))
}

// AttachmentName is the name of the VolumeAttachment of a volume to a node.
func AttachmentName(handle, driver, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(handle+driver+node)))
}

// stagingDir is where the record of a staged volume lies, beside its globalmount.
func (n *Node) stagingDir(v *Volume) string {
	return filepath.Join(n.Dir, "plugins", "kubernetes.io", "csi", v.Driver, fmt.Sprintf("%x", sha256.Sum256([]byte(v.Handle))))
}

// podVolumeDir is where the record of a pod's volume lies, beside what is mounted.
func (n *Node) podVolumeDir(uid string, v *Volume) string {
	kind := "volumes"
	if v.Block {
		kind = "volumeDevices"
	}
	return filepath.Join(n.Dir, "pods", uid, kind, "kubernetes.io~csi", v.Name)
}

// capability says how a volume is to be mounted.
func (v *Volume) capability(d *driver) *csispec.VolumeCapability {
	out := &csispec.VolumeCapability{AccessMode: &csispec.VolumeCapability_AccessMode{Mode: accessMode(v.AccessMode, d)}}
	if v.Block {
		out.AccessType = &csispec.VolumeCapability_Block{Block: &csispec.VolumeCapability_BlockVolume{}}
		return out
	}
	mount := &csispec.VolumeCapability_MountVolume{FsType: v.FSType, MountFlags: v.MountOptions}
	if v.Group != nil && d.can[csispec.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP] {
		mount.VolumeMountGroup = fmt.Sprint(*v.Group)
	}
	out.AccessType = &csispec.VolumeCapability_Mount{Mount: mount}
	return out
}

func accessMode(mode v1.PersistentVolumeAccessMode, d *driver) csispec.VolumeCapability_AccessMode_Mode {
	several := d.can[csispec.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER]
	switch mode {
	case v1.ReadOnlyMany:
		return csispec.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	case v1.ReadWriteMany:
		return csispec.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	case v1.ReadWriteOncePod:
		if several {
			return csispec.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
		}
	case v1.ReadWriteOnce:
		if several {
			return csispec.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
		}
	}
	return csispec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
}
