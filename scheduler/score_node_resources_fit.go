package scheduler

import (
	configv1 "k8s.io/kube-scheduler/config/v1"
)

// resourcesScore is the score of NodeResourcesFit: what share of cpu and memory
// would be used with the pod, and what a strategy makes of it.
//
//   - LeastAllocated prefers nodes with much left;
//   - MostAllocated prefers nodes with little left, so that others stay empty;
//   - RequestedToCapacityRatio takes the score from a curve over the used share.
type resourcesScore struct {
	strategy    configv1.ScoringStrategyType
	cpu, memory int64 // weights
	shape       []configv1.UtilizationShapePoint
}

// leastAllocated is the default strategy.
var leastAllocated = resourcesScore{strategy: configv1.LeastAllocated, cpu: 1, memory: 1}

func (resourcesScore) Name() string { return NodeResourcesFit{}.Name() }

func (s resourcesScore) Score(_ *cluster, cl *class, n *node) int64 {
	cpu := s.of(usedShare(n.cpu+cl.demand.cpu, at(n.allocatable, cpuIndex)))
	memory := s.of(usedShare(n.memory+cl.demand.memory, at(n.allocatable, memoryIndex)))
	return (s.cpu*cpu + s.memory*memory) / (s.cpu + s.memory)
}

// of is what a used share scores.
func (s resourcesScore) of(used int64) int64 {
	switch s.strategy {
	case configv1.MostAllocated:
		return used
	case configv1.RequestedToCapacityRatio:
		return s.onCurve(used)
	default:
		return best - used
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
