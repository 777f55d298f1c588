package pod

import (
	"context"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/events"
)

// mounts gives what a container mounts of its pod's volumes.
func (h *Host) mounts(in containerInput, environment *environment) ([]*cri.Mount, error) {
	var out []*cri.Mount
	for n := range in.spec.VolumeMounts {
		m := &in.spec.VolumeMounts[n]
		v, ok := in.volumes[m.Name]
		if !ok {
			return nil, refused("container %s mounts volume %q, which the pod doesn't have", in.spec.Name, m.Name)
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			var err error
			if sub, err = expandSubPath(m.SubPathExpr, environment); err != nil {
				return nil, err
			}
		}
		mount := &cri.Mount{ContainerPath: m.MountPath, HostPath: v.Path, Readonly: m.ReadOnly || v.ReadOnly}
		if !filepath.IsAbs(mount.ContainerPath) {
			mount.ContainerPath = "/" + mount.ContainerPath
		}
		switch {
		case v.Image != nil:
			mount.HostPath, mount.ImageSubPath = "", sub
			if mount.Image = imageOf(in.images[m.Name], v.Image); mount.Image == nil {
				return nil, refused("the image of volume %q isn't there", m.Name)
			}
		case sub != "":
			mount.HostPath = volume.SubPathTarget(filesDir(h.Dir, string(in.pod.UID)), m.Name, in.spec.Name, n)
			if err := volume.BindSubPath(v.Path, sub, mount.HostPath); err != nil {
				return nil, refused("failed to prepare subPath for volumeMount %q of container %q: %v", m.Name, in.spec.Name, err)
			}
		}
		mount.Propagation = propagation(m.MountPropagation)
		var err error
		if mount.RecursiveReadOnly, err = recursive(m, !h.OldRuntime); err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	return out, nil
}

// expandSubPath puts variables in; one that isn't known is an error, not a folder's name.
func expandSubPath(expression string, environment *environment) (string, error) {
	unknown := ""
	sub := Expand(expression, func(name string) (string, bool) {
		value, ok := environment.lookup(name)
		if !ok {
			unknown = name
		}
		return value, ok
	})
	if unknown != "" {
		return "", refused("missing value for %q", unknown)
	}
	return sub, nil
}

func propagation(mode *v1.MountPropagationMode) cri.MountPropagation {
	if mode == nil {
		return cri.MountPropagation_PROPAGATION_PRIVATE
	}
	switch *mode {
	case v1.MountPropagationHostToContainer:
		return cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	case v1.MountPropagationBidirectional:
		return cri.MountPropagation_PROPAGATION_BIDIRECTIONAL
	}
	return cri.MountPropagation_PROPAGATION_PRIVATE
}

// recursive says whether what is mounted below a read-only volume is to be read-only too.
func recursive(m *v1.VolumeMount, able bool) (bool, error) {
	if m.RecursiveReadOnly == nil || *m.RecursiveReadOnly == v1.RecursiveReadOnlyDisabled {
		return false, nil
	}
	switch {
	case !m.ReadOnly:
		return false, refused("volume %q requested recursive read-only mode, but it is not read-only", m.Name)
	case m.MountPropagation != nil && *m.MountPropagation != v1.MountPropagationNone:
		return false, refused("volume %q requested recursive read-only mode, but it is not compatible with propagation %q", m.Name, *m.MountPropagation)
	}
	switch *m.RecursiveReadOnly {
	case v1.RecursiveReadOnlyIfPossible:
		return able, nil
	case v1.RecursiveReadOnlyEnabled:
		if !able {
			return false, refused("volume %q requested recursive read-only mode, but it is not supported by the runtime", m.Name)
		}
		return true, nil
	}
	return false, refused("unknown recursive read-only mode %q", *m.RecursiveReadOnly)
}

// devices gives the block devices that a container gets of its pod's volumes.
func devices(in containerInput) ([]*cri.Device, error) {
	var out []*cri.Device
	for _, d := range in.spec.VolumeDevices {
		v, ok := in.volumes[d.Name]
		if !ok || !v.Block {
			return nil, refused("container %s has volume %q as a device, which it isn't", in.spec.Name, d.Name)
		}
		permissions := "mrw"
		if v.ReadOnly {
			permissions = "r"
		}
		out = append(out, &cri.Device{ContainerPath: d.DevicePath, HostPath: v.Path, Permissions: permissions})
	}
	return out, nil
}

// mountsImages reports a pod with an image volume.
func mountsImages(pod *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Image != nil {
			return true
		}
	}
	return false
}

// ensureVolumeImages makes the images present that a container mounts.
func (w *Worker) ensureVolumeImages(ctx context.Context, c *v1.Container) (map[string]*cri.Image, *waitError) {
	var out map[string]*cri.Image
	for i := range c.VolumeMounts {
		name := c.VolumeMounts[i].Name
		source := w.volumes[name].Image
		if source == nil || out[name] != nil {
			continue
		}
		image, wait := w.ensureImage(ctx, w.pod, &v1.Container{Name: c.Name, Image: source.Reference, ImagePullPolicy: source.PullPolicy}, w.config)
		if wait != nil {
			return nil, wait
		}
		if out == nil {
			out = map[string]*cri.Image{}
		}
		out[name] = image
	}
	return out, nil
}

func imageOf(image *cri.Image, source *v1.ImageVolumeSource) *cri.ImageSpec {
	if image == nil {
		return nil
	}
	return &cri.ImageSpec{Image: image.Id, UserSpecifiedImage: source.Reference}
}

// refused is an error of what a pod's spec says, in exactly these words.
func refused(format string, args ...any) error {
	return volume.Failure(events.ErrInvalid, format, args...)
}
