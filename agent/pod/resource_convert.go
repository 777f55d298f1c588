package pod

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	limit := effectiveLimit(pod, c, v1.ResourceCPU)
	if !hasRequest && limit != nil {
		request = *limit
	}
	r := &cri.LinuxContainerResources{CpuShares: shares(request.MilliValue()), OomScoreAdj: oomScore(pod, c, memory)}
	if limit != nil {
		r.CpuPeriod = quotaPeriod
		r.CpuQuota = max(limit.MilliValue()*quotaPeriod/1000, minQuota)
	}
	if m := effectiveLimit(pod, c, v1.ResourceMemory); m != nil {
		r.MemoryLimitInBytes = m.Value()
	}
	return r
}

// effectiveLimit is the container's own limit, or its pod's; nil: there is none.
func effectiveLimit(pod *v1.Pod, c *v1.Container, name v1.ResourceName) *resource.Quantity {
	if q, ok := c.Resources.Limits[name]; ok && !q.IsZero() {
		return &q
	}
	return podLimit(pod, name)
}

func podLimit(pod *v1.Pod, name v1.ResourceName) *resource.Quantity {
	if pod.Spec.Resources == nil {
		return nil
	}
	if q, ok := pod.Spec.Resources.Limits[name]; ok && !q.IsZero() {
		return &q
	}
	return nil
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
	share := unclaimedMemory(pod)
	score := 1000 - 1000*(c.Resources.Requests.Memory().Value()+share)/memory
	if kindOf(c, isInit(pod, c)) == sidecar { // never before those it serves
		least := int64(-1)
		for _, other := range pod.Spec.Containers {
			if m := other.Resources.Requests.Memory().Value(); least < 0 || m < least {
				least = m
			}
		}
		score = min(score, 1000-1000*(least+share)/memory)
	}
	return min(max(score, 1000+oomGuaranteed), oomBestEffort-1)
}

// unclaimedMemory is what each container gets of what the pod requests beyond their own requests.
func unclaimedMemory(pod *v1.Pod) int64 {
	if pod.Spec.Resources == nil {
		return 0
	}
	left, ok := pod.Spec.Resources.Requests[v1.ResourceMemory]
	if !ok {
		return 0
	}
	count := int64(len(pod.Spec.Containers))
	for _, c := range pod.Spec.Containers {
		left.Sub(c.Resources.Requests[v1.ResourceMemory])
	}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; kindOf(c, true) == sidecar {
			count++
			left.Sub(c.Resources.Requests[v1.ResourceMemory])
		}
	}
	return max(left.Value(), 0) / max(count, 1)
}

func isInit(pod *v1.Pod, c *v1.Container) bool {
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == c.Name {
			return true
		}
	}
	return false
}

// QOS is a pod's quality-of-service class: Guaranteed when every container's
// requests equal its limits of CPU and memory, BestEffort when there are none.
// Resources of the pod as a whole count in place of its containers'.
func QOS(pod *v1.Pod) v1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	guaranteed, any := true, false
	count := func(r *v1.ResourceRequirements) {
		for _, name := range []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory} {
			request, hasRequest := r.Requests[name]
			limit, hasLimit := r.Limits[name]
			hasRequest, hasLimit = hasRequest && !request.IsZero(), hasLimit && !limit.IsZero()
			any = any || hasRequest || hasLimit
			if !hasLimit || (hasRequest && request.Cmp(limit) != 0) {
				guaranteed = false
			}
		}
	}
	if r := pod.Spec.Resources; r != nil && len(r.Requests)+len(r.Limits) > 0 {
		count(r)
	} else {
		for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				count(&list[i].Resources)
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
