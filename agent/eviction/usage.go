package eviction

import v1 "k8s.io/api/core/v1"

// Disk is a use of a file system.
type Disk struct{ Bytes, Inodes int64 }

func (d Disk) plus(e Disk) Disk { return Disk{d.Bytes + e.Bytes, d.Inodes + e.Inodes} }

func (d Disk) of(name v1.ResourceName) int64 {
	if name == inodes {
		return d.Inodes
	}
	return d.Bytes
}

// Container is what one container uses.
type Container struct {
	Memory       int64 // working set
	Rootfs, Logs Disk
}

// Usage is what a pod uses.
type Usage struct {
	Memory     int64 // working set
	PIDs       int64
	Containers map[string]Container
	Volumes    map[string]Disk // those on the node's own disk, and in memory
}

// Layout says which file systems are one.
type Layout struct {
	// ImageFs says that images and containers lie on another file system than logs and volumes.
	ImageFs bool
}

// disk is what counts against a signal of a pod's use.
func (u Usage) disk(s Signal, l Layout, local map[string]bool) (out Disk) {
	image := s == ImageFsAvailable || s == ImageFsInodesFree
	for _, c := range u.Containers {
		if !l.ImageFs || image {
			out = out.plus(c.Rootfs)
		}
		if !l.ImageFs || !image {
			out = out.plus(c.Logs)
		}
	}
	if !l.ImageFs || !image {
		for name, v := range u.Volumes {
			if local[name] {
				out = out.plus(v)
			}
		}
	}
	return out
}

// local are a pod's volumes that take the node's own disk.
func local(pod *v1.Pod) map[string]bool {
	out := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.EmptyDir != nil && v.EmptyDir.Medium == v1.StorageMediumDefault,
			v.ConfigMap != nil, v.DownwardAPI != nil, v.Projected != nil, v.GitRepo != nil:
			out[v.Name] = true
		}
	}
	return out
}
