package scheduler

// VolumeBinding refuses nodes that the pod's volumes can't be reached from, and
// those on which its claims that wait for a node would get none.
type VolumeBinding struct{}

func (VolumeBinding) Name() string { return "VolumeBinding" }

func (VolumeBinding) Refuses(cl *class, n *node) bool {
	return cl.claimed != nil && cl.claimed.refuses(n.object) != ""
}

func (VolumeBinding) Reasons(_ *cluster, cl *class, n *node) []string {
	return []string{cl.claimed.refuses(n.object)}
}
