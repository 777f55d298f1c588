package pod

import (
	v1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// podLimits are what a pod's cgroup as a whole may use.
type podLimits struct {
	shares int64
	quota  int64 // µs of CPU per quotaPeriod; -1: no limit
	memory int64 // bytes; -1: no limit
}

// limitsOf gives a pod's limits, its overhead included. There is one only where all of its
// containers have one, or the pod itself.
func limitsOf(pod *v1.Pod) podLimits {
	out := podLimits{shares: podShares(pod), quota: -1, memory: -1}
	if QOS(pod) == v1.PodQOSBestEffort {
		return out
	}
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	if limited(pod, v1.ResourceCPU) {
		out.quota = max(limits.Cpu().MilliValue()*quotaPeriod/1000, minQuota)
	}
	if limited(pod, v1.ResourceMemory) {
		out.memory = limits.Memory().Value()
	}
	return out
}

func limited(pod *v1.Pod, name v1.ResourceName) bool {
	if l := podLimit(pod, name); l != nil {
		return true
	}
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if q := list[i].Resources.Limits[name]; q.IsZero() {
				return false
			}
		}
	}
	return true
}

// widened is enough for both.
func (l podLimits) widened(o podLimits) podLimits {
	wide := func(a, b int64) int64 {
		if a < 0 || b < 0 {
			return -1
		}
		return max(a, b)
	}
	return podLimits{shares: max(l.shares, o.shares), quota: wide(l.quota, o.quota), memory: wide(l.memory, o.memory)}
}

// resources are the limits in CRI's terms.
func (l podLimits) resources() *cri.LinuxContainerResources {
	out := &cri.LinuxContainerResources{CpuShares: l.shares, CpuPeriod: quotaPeriod, CpuQuota: max(l.quota, 0)}
	out.MemoryLimitInBytes = max(l.memory, 0)
	return out
}

// overhead is what a pod takes beside its containers, in CRI's terms.
func overhead(list v1.ResourceList) *cri.LinuxContainerResources {
	if len(list) == 0 {
		return nil
	}
	cpu := list.Cpu().MilliValue()
	return &cri.LinuxContainerResources{CpuShares: shares(cpu), CpuPeriod: quotaPeriod, CpuQuota: cpu * quotaPeriod / 1000, MemoryLimitInBytes: list.Memory().Value()}
}

// setLimits gives the pod's cgroup its limits, if there are cgroups.
func (w *Worker) setLimits(l podLimits) error {
	if w.host.SetShares == nil || w.host.SetLimits == nil {
		w.limits = &l
		return nil
	}
	path := cgroupParent(w.host.CgroupPrefix, w.pod)
	if err := w.host.SetShares(path, l.shares); err != nil {
		return err
	}
	if err := w.host.SetLimits(path, l.quota, l.memory); err != nil {
		return err
	}
	w.limits = &l
	return nil
}
