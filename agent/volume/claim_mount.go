package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/reckon-project/reckon/events"
)

// mountClaim gives a pod what is behind one of its claims.
func (m *Manager) mountClaim(ctx context.Context, pod *v1.Pod, v *v1.Volume) (Mounted, error) {
	name, readOnly := "", false
	if v.PersistentVolumeClaim != nil {
		name, readOnly = v.PersistentVolumeClaim.ClaimName, v.PersistentVolumeClaim.ReadOnly
	} else {
		name = ephemeral.VolumeClaimName(pod, v)
	}
	claim, ok := m.Objects.Claim(pod.Namespace, name)
	if !ok {
		return Mounted{}, failf(events.ErrNotFound, "persistentvolumeclaim %q not found", name)
	}
	if v.Ephemeral != nil {
		if err := ephemeral.VolumeIsForPod(pod, claim); err != nil {
			return Mounted{}, failf(events.ErrInvalid, "%v", err)
		}
	}
	volume, ok := m.Objects.Volume(claim.Spec.VolumeName)
	switch {
	case claim.Spec.VolumeName == "" || claim.Status.Phase != v1.ClaimBound:
		return Mounted{}, failf(events.ErrUnavailable, "persistentvolumeclaim %q is not bound", name)
	case !ok:
		return Mounted{}, failf(events.ErrNotFound, "persistentvolume %q not found", claim.Spec.VolumeName)
	case volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != claim.UID:
		return Mounted{}, failf(events.ErrInvalid, "persistentvolume %q is not bound to persistentvolumeclaim %q", volume.Name, name)
	}
	block := volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == v1.PersistentVolumeBlock
	if err := fits(pod, v.Name, block); err != nil {
		return Mounted{}, err
	}
	out, err := m.mountVolume(ctx, pod, claim, volume, block, readOnly)
	if err != nil {
		return out, &specError{volume.Name, err}
	}
	return out, nil
}

// specError says that mounting failed of what is known by another name than the pod's.
type specError struct {
	name string
	error
}

func (e *specError) Unwrap() error { return e.error }

// fits checks that containers use a volume as what it is: a device or files.
func fits(pod *v1.Pod, name string, block bool) error {
	for _, all := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			for _, m := range all[i].VolumeMounts {
				if m.Name == name && block {
					return failf(events.ErrInvalid, "volume %s has volumeMode Block, but is specified in volumeMounts", name)
				}
			}
			for _, d := range all[i].VolumeDevices {
				if d.Name == name && !block {
					return failf(events.ErrInvalid, "volume %s has volumeMode Filesystem, but is specified in volumeDevices", name)
				}
			}
		}
	}
	return nil
}

func (m *Manager) mountVolume(ctx context.Context, pod *v1.Pod, claim *v1.PersistentVolumeClaim, volume *v1.PersistentVolume, block, readOnly bool) (Mounted, error) {
	if volume.Spec.CSI != nil {
		return m.mountPersistent(ctx, pod, claim, volume, block, readOnly)
	}
	if block {
		path, err := devicePath(volume)
		return Mounted{Path: path, ReadOnly: readOnly, Block: true}, err
	}
	path, err := m.folder(pod, volume, readOnly)
	if err != nil {
		return Mounted{}, err
	}
	if volume.Spec.Local != nil && !readOnly {
		if err := m.ownOnce(path, pod, volume.Name); err != nil {
			return Mounted{}, err
		}
	}
	return Mounted{Path: path, ReadOnly: readOnly}, nil
}

// ownOnce is own when a pod mounts a volume first: later what is in it is the pod's own to change.
func (m *Manager) ownOnce(path string, pod *v1.Pod, volume string) error {
	if fsGroup(pod) == nil {
		return nil
	}
	done := filepath.Join(m.podDir(string(pod.UID)), "kubernetes.io~local-volume", volume+"~owned")
	if _, err := os.Lstat(done); err == nil {
		return nil
	}
	if err := own(path, pod); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(done), 0o750); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

// own lets the pod's fsGroup write to a volume.
func own(path string, pod *v1.Pod) error {
	group := fsGroup(pod)
	if group == nil {
		return nil
	}
	if err := giveTo(path, int(*group), pod.Spec.SecurityContext.FSGroupChangePolicy); err != nil {
		return fmt.Errorf("applyFSGroup failed for vol %s: %w", filepath.Base(path), err)
	}
	return nil
}

// folder is where a volume lies on this node.
func (m *Manager) folder(pod *v1.Pod, v *v1.PersistentVolume, readOnly bool) (string, error) {
	switch {
	case v.Spec.HostPath != nil:
		return v.Spec.HostPath.Path, checkHostPath(v.Spec.HostPath)
	case v.Spec.Local == nil:
		return "", failf(events.ErrInvalid, "no volume plugin matched: this node doesn't know volumes of the type of persistentvolume %q", v.Name)
	}
	path := v.Spec.Local.Path
	if m.owns(v) {
		if err := os.MkdirAll(m.VolumesDir, 0o711); err != nil {
			return "", err
		}
		switch err := os.Mkdir(path, 0o777); {
		case err == nil:
			return path, os.Chmod(path, 0o777) // whatever the umask
		case !errors.Is(err, fs.ErrExist):
			return "", err
		}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", failf(events.ErrNotFound, "path %q does not exist", path)
	case err != nil:
		return "", fmt.Errorf("local volume path: %w", err)
	case isBlockDevice(info.Mode()):
		return m.mountLocalDevice(pod, v, readOnly)
	case !info.IsDir():
		return "", failf(events.ErrInvalid, "path %q is neither a folder nor a block device", path)
	}
	return path, nil
}

// The words that node and provisioner have in common (controllers/localpath).
const (
	AnnFolder     = "reckon.dev/volumes" // on a node: where its volumes lie
	FolderRemoved = "FolderRemoved"      // a volume's status.reason

	provisioner   = "reckon.dev/local-path"
	annNode       = "reckon.dev/node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

// owns reports a volume whose folder is this node's to make and remove: one of
// the built-in local path, directly below the volumes' folder.
func (m *Manager) owns(v *v1.PersistentVolume) bool {
	return v.Annotations[provisionedBy] == provisioner && v.Spec.Local != nil &&
		m.VolumesDir != "" && filepath.Dir(filepath.Clean(v.Spec.Local.Path)) == filepath.Clean(m.VolumesDir)
}

// Doomed reports a volume whose folder a node is to remove.
func Doomed(v *v1.PersistentVolume, node string) bool {
	return v.DeletionTimestamp != nil && v.Annotations[provisionedBy] == provisioner && v.Annotations[annNode] == node &&
		v.Spec.PersistentVolumeReclaimPolicy == v1.PersistentVolumeReclaimDelete &&
		v.Status.Phase != v1.VolumeBound
}

// RemoveFolder removes what is in a volume of the built-in local path. A folder
// that isn't there is removed.
func (m *Manager) RemoveFolder(v *v1.PersistentVolume) error {
	if !m.owns(v) {
		return fmt.Errorf("%w: %s is not a folder of this node's volumes", events.ErrInvalid, v.Name)
	}
	return os.RemoveAll(v.Spec.Local.Path)
}

// giveTo lets a group write to a folder and all in it, as fsGroup asks. What has
// the right group at its root is left alone if the policy allows that.
func giveTo(root string, group int, policy *v1.PodFSGroupChangePolicy) error {
	if policy != nil && *policy == v1.FSGroupChangeOnRootMismatch {
		if has, mode, err := groupOf(root); err == nil && has == group && mode&0o070 == 0o070 && mode&fs.ModeSetgid != 0 {
			return nil
		}
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		has, mode, err := groupOf(path)
		if err != nil {
			return err
		}
		if has != group {
			if err := os.Lchown(path, -1, group); err != nil {
				return err
			}
		}
		want := mode | 0o060
		switch {
		case d.IsDir():
			want |= 0o010 | fs.ModeSetgid
		case !mode.IsRegular():
			return nil
		}
		if want == mode && has == group {
			return nil
		}
		return os.Chmod(path, want) // also after a change of owner, which clears setgid
	})
}
