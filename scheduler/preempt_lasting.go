package scheduler

// lasting is a filter that can tell that a refusal doesn't go away with the
// pods on the node.
type lasting interface {
	Lasting(*cluster, *class, *node) bool
}

// Lasting reports that the node hasn't as much as the pod requests, even when empty.
func (NodeResourcesFit) Lasting(_ *cluster, cl *class, n *node) bool {
	for _, r := range cl.checked {
		if r.amount > at(n.allocatable, r.resource) {
			return true
		}
	}
	return false
}

// Lasting reports that volumes stay where they are.
func (VolumeBinding) Lasting(*cluster, *class, *node) bool { return true }

// Lasting reports that volumes stay in their zone.
func (VolumeZone) Lasting(*cluster, *class, *node) bool { return true }
