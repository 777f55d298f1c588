package scheduler

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
)

// DynamicResources refuses nodes on which a pod's resource claims get no devices, or can't
// use those that they have, and prefers nodes that give the alternatives asked for first.
type DynamicResources struct{}

// Name is Kubernetes' name of it.
func (DynamicResources) Name() string { return "DynamicResources" }

// Refuses asks the allocator, unless nothing changed since it was asked.
func (DynamicResources) Refuses(cl *class, n *node) bool {
	return cl.wanted != nil && cl.wanted.refuses(n) != ""
}

// Reasons are Kubernetes' words.
func (DynamicResources) Reasons(_ *cluster, cl *class, n *node) []string {
	return []string{cl.wanted.refuses(n)}
}

// Lasting reports that a claim keeps its devices when its pod is made to go.
func (DynamicResources) Lasting(*cluster, *class, *node) bool { return true }

// Score is the best if each request that lists alternatives gets its first.
func (DynamicResources) Score(_ *cluster, cl *class, n *node) int64 {
	w := cl.wanted
	if w == nil || w.choices == 0 || w.problem != "" {
		return 0
	}
	var sum int64
	for i := range w.where {
		sum += rank(w.where[i].claim, w.view.taken[w.where[i].claim.UID])
	}
	if len(w.open) > 0 {
		for i, result := range w.allocate(n).results {
			sum += rank(w.open[i], &result)
		}
	}
	return best * sum / (w.choices * resourcev1.FirstAvailableDeviceRequestMaxSize)
}

// rank adds up how early the alternatives that a claim got are in their lists.
func rank(claim *resourcev1.ResourceClaim, got *resourcev1.AllocationResult) (sum int64) {
	if got == nil {
		return 0
	}
	for i := range claim.Spec.Devices.Requests {
		r := &claim.Spec.Devices.Requests[i]
		for j := range r.FirstAvailable {
			ref := resourceclaim.CreateSubRequestRef(r.Name, r.FirstAvailable[j].Name)
			for k := range got.Devices.Results {
				if got.Devices.Results[k].Request == ref {
					sum += int64(resourcev1.FirstAvailableDeviceRequestMaxSize - j)
					break
				}
			}
		}
	}
	return sum
}
