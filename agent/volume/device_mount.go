package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	v1 "k8s.io/api/core/v1"
	mount "k8s.io/mount-utils"
	"k8s.io/utils/exec"

	"github.com/reckon-project/reckon/events"
)

func isBlockDevice(mode fs.FileMode) bool {
	return mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
}

// devicePath is the device of a volume that pods get as one.
func devicePath(v *v1.PersistentVolume) (string, error) {
	path := ""
	switch {
	case v.Spec.Local != nil:
		path = v.Spec.Local.Path
	default:
		return "", failf(events.ErrInvalid, "no volume plugin matched: this node can't give persistentvolume %q to pods as a block device", v.Name)
	}
	path, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", failf(events.ErrNotFound, "path %q does not exist", v.Spec.Local.Path)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !isBlockDevice(info.Mode()) {
		return "", failf(events.ErrInvalid, "path %q is not a block device", path)
	}
	return path, nil
}

// mountLocalDevice mounts the file system on a local volume's device for a pod,
// and makes one when the device is empty. Several pods may have it mounted.
func (m *Manager) mountLocalDevice(pod *v1.Pod, v *v1.PersistentVolume, readOnly bool) (string, error) {
	target := filepath.Join(m.podDir(string(pod.UID)), "kubernetes.io~local-volume", v.Name)
	if err := os.MkdirAll(target, 0o750); err != nil {
		return "", err
	}
	m.formats.Lock()
	defer m.formats.Unlock()
	mounted, err := mountinfo.Mounted(target)
	if err != nil {
		return "", fmt.Errorf("look for a mount at %s: %w", target, err)
	}
	if mounted {
		return target, nil
	}
	kind, options := "ext4", v.Spec.MountOptions
	if f := v.Spec.Local.FSType; f != nil && *f != "" {
		kind = *f
	}
	if readOnly {
		options = append([]string{"ro"}, options...)
	}
	mounter := mount.NewSafeFormatAndMount(mount.New(""), exec.New())
	if err := mounter.FormatAndMount(v.Spec.Local.Path, target, kind, options); err != nil {
		return "", fmt.Errorf("mount %s: %w", v.Spec.Local.Path, err)
	}
	return target, nil
}
