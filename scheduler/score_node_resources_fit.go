package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	configv1 "k8s.io/kube-scheduler/config/v1"
)

// resourcesScore is the score of NodeResourcesFit: what share of resources
// would be used with the pod, and what a strategy makes of it.
//
//   - LeastAllocated prefers nodes with much left;
//   - MostAllocated prefers nodes with little left, so that others stay empty;
//   - RequestedToCapacityRatio takes the score from a curve over the used share.
type resourcesScore struct {
	strategy  configv1.ScoringStrategyType
	resources []scoredResource
	shape     []configv1.UtilizationShapePoint
}

// scoredResource is a resource that a score looks at.
type scoredResource struct {
	name   corev1.ResourceName
	weight int64
	index  int // in a cluster: see on
}

// leastAllocated is the default strategy.
var leastAllocated = resourcesScore{strategy: configv1.LeastAllocated, resources: []scoredResource{
	{corev1.ResourceCPU, 1, cpuIndex}, {corev1.ResourceMemory, 1, memoryIndex},
}}

// on gives the resources their indexes in a cluster.
func on(r *resourceNames, list []scoredResource) []scoredResource {
	out := make([]scoredResource, len(list))
	for i, s := range list {
		out[i] = scoredResource{s.name, s.weight, r.of(s.name)}
	}
	return out
}

func (resourcesScore) Name() string { return NodeResourcesFit{}.Name() }

// Score passes over what a node doesn't have, and extended resources that the pod
// doesn't ask for.
func (s resourcesScore) Score(_ *cluster, cl *class, n *node) int64 {
	var sum, weights int64
	for _, r := range s.resources {
		of, used, asked := at(n.allocatable, r.index), int64(0), int64(0)
		switch r.index {
		case cpuIndex:
			used, asked = n.cpu, cl.demand.cpu
		case memoryIndex:
			used, asked = n.memory, cl.demand.memory
		case podsIndex:
			continue
		default:
			used, asked = at(n.used, r.index), cl.demand.asks(r.index)
		}
		if of == 0 || r.index >= wellKnown && asked == 0 {
			continue
		}
		score := s.of(used+asked, of)
		if score == 0 && s.strategy == configv1.RequestedToCapacityRatio {
			continue // as Kubernetes does: what scores nothing doesn't count
		}
		sum += r.weight * score
		weights += r.weight
	}
	if weights == 0 {
		return 0
	}
	return sum / weights
}

// of is what using so much of a resource scores.
func (s resourcesScore) of(used, of int64) int64 {
	share := usedShare(used, of)
	switch s.strategy {
	case configv1.MostAllocated:
		return share
	case configv1.RequestedToCapacityRatio:
		return s.onCurve(share)
	default:
		return best - share
	}
}

// onCurve is the score at a share: straight lines between the points, flat
// outside of them. A point's utilization is in percent and its score in tenths.
func (s resourcesScore) onCurve(used int64) int64 {
	const percent, tenth = best / 100, best / 10
	before := s.shape[0]
	for _, p := range s.shape {
		if x := int64(p.Utilization) * percent; used <= x {
			from := int64(before.Utilization) * percent
			if x == from {
				return int64(p.Score) * tenth
			}
			low, high := int64(before.Score)*tenth, int64(p.Score)*tenth
			return low + (high-low)*(used-from)/(x-from)
		}
		before = p
	}
	return int64(before.Score) * tenth
}

// usedShare is used/of in parts of best, at most best. Memory is divided first:
// a machine's bytes times best would overflow.
func usedShare(used, of int64) int64 {
	if of > 1<<40 {
		used, of = used>>20, of>>20
	}
	if of <= 0 || used >= of {
		return best
	}
	return used * best / of
}
