package scheduler

// Score prefers nodes in domains with few of the pods that the constraints select which
// needn't be met: the pod's own, or the default ones for pods of a service, replica
// set, stateful set or replication controller.
func (PodTopologySpread) Score(_ *cluster, cl *class, n *node) int64 {
	if cl.outlook == nil {
		return 0
	}
	return cl.outlook.spreadScore(n.index)
}
