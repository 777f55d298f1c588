package scheduler

// LeastAllocated prefers nodes with much cpu and memory left: the mean of what
// share of each would be free with the pod.
type LeastAllocated struct{}

func (LeastAllocated) Name() string  { return "LeastAllocated" }
func (LeastAllocated) Weight() int64 { return 1 }

func (LeastAllocated) Score(_ *cluster, cl *class, n *node) int64 {
	return (freeShare(n.cpu+cl.demand.cpu, at(n.allocatable, cpuIndex)) +
		freeShare(n.memory+cl.demand.memory, at(n.allocatable, memoryIndex))) / 2
}

func freeShare(used, of int64) int64 { return best - usedShare(used, of) }

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
