package scheduler

// NodeResourcesBalancedAllocation prefers nodes where the pod leaves cpu and memory used in equal
// shares. The further apart they are, the lower the score.
type NodeResourcesBalancedAllocation struct{}

func (NodeResourcesBalancedAllocation) Name() string { return "NodeResourcesBalancedAllocation" }

func (NodeResourcesBalancedAllocation) Score(_ *cluster, cl *class, n *node) int64 {
	apart := usedShare(n.cpu+cl.demand.cpu, at(n.allocatable, cpuIndex)) -
		usedShare(n.memory+cl.demand.memory, at(n.allocatable, memoryIndex))
	if apart < 0 {
		apart = -apart
	}
	return best - apart/2
}
