package scheduler

import "math"

// NodeResourcesBalancedAllocation prefers nodes whose resources the pod brings into
// balance: how far apart the used shares are is measured before and after, and the better it gets, the
// higher the score. Pods that ask for none of the resources are no matter.
type NodeResourcesBalancedAllocation struct{ resources []scoredResource }

// Name is Kubernetes' name of it.
func (NodeResourcesBalancedAllocation) Name() string { return "NodeResourcesBalancedAllocation" }

// Score is in the upper half: 75 % when the balance stays as it is.
func (s NodeResourcesBalancedAllocation) Score(_ *cluster, cl *class, n *node) int64 {
	var space [8]int64
	before, after := space[:0:4], space[4:4]
	asks := false
	for _, r := range s.resources {
		of, asked := at(n.allocatable, r.index), cl.demand.asks(r.index)
		asks = asks || asked != 0
		if of == 0 || r.index == podsIndex || r.index >= wellKnown && asked == 0 {
			continue
		}
		used := at(n.used, r.index)
		before = append(before, usedShare(used, of))
		after = append(after, usedShare(used+asked, of))
	}
	if !asks {
		return 0
	}
	return best/2 + (best/2+deviation(before)-deviation(after))/2
}

// deviation is the standard deviation of shares.
func deviation(shares []int64) int64 {
	switch len(shares) {
	case 0, 1:
		return 0
	case 2:
		return max(shares[0]-shares[1], shares[1]-shares[0]) / 2
	}
	var sum, squares int64
	for _, s := range shares {
		sum += s
	}
	mean := sum / int64(len(shares))
	for _, s := range shares {
		squares += (s - mean) * (s - mean)
	}
	return int64(math.Sqrt(float64(squares / int64(len(shares)))))
}
