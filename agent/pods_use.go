package agent

import (
	"context"
	"errors"
	"path/filepath"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/runtime"
)

const cgroups machine.Cgroups = "/sys/fs/cgroup"

// localFolders are a pod's volumes that must be walked through to be measured.
func localFolders(v *v1.Volume) bool {
	return v.EmptyDir != nil && v.EmptyDir.Medium == v1.StorageMediumDefault
}

// uses measures what pods use: memory and writable layers as the runtime counts
// them, logs and volumes by walking through them. of says which volumes count
// (nil: all that are folders of the pod's own). Without what the runtime counts
// there is no answer; what else can't be measured is missing in it.
func (a *Agent) uses(ctx context.Context, pods map[string]candidate, of func(*v1.Volume) bool) (map[string]eviction.Usage, error) {
	out := map[string]eviction.Usage{}
	stats, err := a.runtime.Stats(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stats {
		labels := s.Attributes.GetLabels()
		uid := labels[runtime.LabelPodUID]
		if _, ok := pods[uid]; !ok {
			continue
		}
		u, ok := out[uid]
		if !ok {
			u = eviction.Usage{Containers: map[string]eviction.Container{}, Volumes: map[string]eviction.Disk{}}
		}
		c := u.Containers[labels[runtime.LabelContainerName]]
		memory := int64(s.GetMemory().GetWorkingSetBytes().GetValue())
		c.Memory += memory
		u.Memory += memory
		c.Rootfs.Bytes += int64(s.GetWritableLayer().GetUsedBytes().GetValue())
		c.Rootfs.Inodes += int64(s.GetWritableLayer().GetInodesUsed().GetValue())
		u.Containers[labels[runtime.LabelContainerName]] = c
		out[uid] = u
	}
	var errs []error
	for uid, p := range pods {
		u, ok := out[uid]
		if !ok {
			continue
		}
		u.PIDs = cgroups.PIDs(filepath.Join(a.host.CgroupPrefix, "pod"+uid))
		for name, c := range u.Containers {
			used, err := machine.Use(filepath.Join(pod.LogDir(a.o.Dir, p.view.Pod), name))
			errs = append(errs, err)
			c.Logs = eviction.Disk{Bytes: used.Bytes, Inodes: used.Inodes}
			u.Containers[name] = c
		}
		for i := range p.view.Pod.Spec.Volumes {
			v := &p.view.Pod.Spec.Volumes[i]
			if v.HostPath != nil || v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.CSI != nil || of != nil && !of(v) {
				continue
			}
			used, err := machine.Use(a.podVolume(uid, v.Name))
			errs = append(errs, err)
			u.Volumes[v.Name] = eviction.Disk{Bytes: used.Bytes, Inodes: used.Inodes}
		}
		out[uid] = u
	}
	return out, errors.Join(errs...)
}
