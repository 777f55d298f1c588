package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"
)

// The indexes of the resources that every node has; extended ones follow.
const (
	cpuIndex = iota // in thousandths of a core; everything else in units
	memoryIndex
	ephemeralStorageIndex
	podsIndex
	wellKnown
)

// resourceNames gives each resource name a small index, for good.
type resourceNames struct {
	names []corev1.ResourceName
	index map[corev1.ResourceName]int
}

func newResourceNames() resourceNames {
	r := resourceNames{index: map[corev1.ResourceName]int{}}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourcePods} {
		r.of(name)
	}
	return r
}

func (r *resourceNames) of(name corev1.ResourceName) int {
	i, ok := r.index[name]
	if !ok {
		i = len(r.names)
		r.names = append(r.names, name)
		r.index[name] = i
	}
	return i
}

func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// vector turns a list into amounts by resource index.
func (r *resourceNames) vector(list corev1.ResourceList) []int64 {
	v := make([]int64, max(wellKnown, len(r.names)))
	for name, q := range list {
		i := r.of(name)
		if i >= len(v) {
			v = slices.Grow(v, i+1-len(v))[:i+1]
		}
		v[i] = amount(name, q)
	}
	return v
}

// demand is what a pod takes of a node. It is shared by all pods of a class.
type demand struct {
	requests []request // in order of resource index; one pod included
	// What the scores count: a container that requests nothing still uses something.
	cpu, memory int64
	ports       []hostPort
}

type request struct {
	resource int
	amount   int64
}

// unsaid is what Kubernetes' scores assume of a container that doesn't say.
var unsaid = corev1.ResourceList{
	corev1.ResourceCPU:    *resource.NewMilliQuantity(100, resource.DecimalSI),
	corev1.ResourceMemory: *resource.NewQuantity(200<<20, resource.BinarySI),
}

func (r *resourceNames) demand(pod *corev1.Pod) *demand {
	d := &demand{ports: hostPorts(pod)}
	for name, q := range helpers.PodRequests(pod, helpers.PodResourcesOptions{UseStatusResources: true}) {
		if a := amount(name, q); a != 0 && name != corev1.ResourcePods {
			d.requests = append(d.requests, request{r.of(name), a})
		}
	}
	d.requests = append(d.requests, request{podsIndex, 1})
	slices.SortFunc(d.requests, func(a, b request) int { return a.resource - b.resource })
	scored := helpers.PodRequests(pod, helpers.PodResourcesOptions{UseStatusResources: true, NonMissingContainerRequests: unsaid})
	d.cpu = amount(corev1.ResourceCPU, scored[corev1.ResourceCPU])
	d.memory = amount(corev1.ResourceMemory, scored[corev1.ResourceMemory])
	return d
}

// asks is how much of a resource the pod requests.
func (d *demand) asks(resource int) int64 {
	for _, r := range d.requests {
		if r.resource == resource {
			return r.amount
		}
	}
	return 0
}
