package pod

import (
	v1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the kernel takes, and how the kubelet converts.
const (
	minShares   = 2
	maxShares   = 262144
	sharesCPU   = 1024
	quotaPeriod = 100000 // µs
	minQuota    = 1000   // µs

	oomGuaranteed = -997
	oomBestEffort = 1000
)

// linuxResources gives a container's cgroup settings.
func linuxResources(pod *v1.Pod, c *v1.Container, memory int64) *cri.LinuxContainerResources {
	request, hasRequest := c.Resources.Requests[v1.ResourceCPU]
	limit, hasLimit := c.Resources.Limits[v1.ResourceCPU]
	if !hasRequest && hasLimit {
		request = limit
	}
	r := &cri.LinuxContainerResources{CpuShares: shares(request.MilliValue()), OomScoreAdj: oomScore(pod, c, memory)}
	if hasLimit {
		r.CpuPeriod = quotaPeriod
		r.CpuQuota = max(limit.MilliValue()*quotaPeriod/1000, minQuota)
	}
	if m, ok := c.Resources.Limits[v1.ResourceMemory]; ok {
		r.MemoryLimitInBytes = m.Value()
	}
	return r
}

// podShares is what all of a pod's containers request together.
func podShares(pod *v1.Pod) int64 {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	return shares(requests.Cpu().MilliValue())
}

func shares(milli int64) int64 {
	return min(max(milli*sharesCPU/1000, minShares), maxShares)
}

// oomScore lets what asked for less memory than it uses be killed first.
func oomScore(pod *v1.Pod, c *v1.Container, memory int64) int64 {
	if pod.Spec.Priority != nil && *pod.Spec.Priority >= 2000000000 {
		return oomGuaranteed
	}
	switch QOS(pod) {
	case v1.PodQOSGuaranteed:
		return oomGuaranteed
	case v1.PodQOSBestEffort:
		return oomBestEffort
	}
	if memory <= 0 {
		return oomBestEffort - 1
	}
	request := c.Resources.Requests[v1.ResourceMemory]
	score := 1000 - 1000*request.Value()/memory
	return min(max(score, 1000+oomGuaranteed), oomBestEffort-1)
}

// QOS is a pod's quality-of-service class: Guaranteed when every container's
// requests equal its limits of CPU and memory, BestEffort when there are none.
func QOS(pod *v1.Pod) v1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	guaranteed, any := true, false
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			for _, name := range []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory} {
				request, hasRequest := c.Resources.Requests[name]
				limit, hasLimit := c.Resources.Limits[name]
				hasRequest, hasLimit = hasRequest && !request.IsZero(), hasLimit && !limit.IsZero()
				any = any || hasRequest || hasLimit
				if !hasLimit || (hasRequest && request.Cmp(limit) != 0) {
					guaranteed = false
				}
			}
		}
	}
	switch {
	case !any:
		return v1.PodQOSBestEffort
	case guaranteed:
		return v1.PodQOSGuaranteed
	}
	return v1.PodQOSBurstable
}
