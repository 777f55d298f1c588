package scheduler

// Score adds up the weights of preferences that a node meets: the pod's own, and those of
// the pods on nodes for or against it, whose required affinity counts a little too.
func (InterPodAffinity) Score(_ *cluster, cl *class, n *node) int64 {
	if cl.outlook == nil {
		return 0
	}
	return cl.outlook.drawScore(n.index)
}
