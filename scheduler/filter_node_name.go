package scheduler

// NodeName refuses all nodes but the one that the pod names.
type NodeName struct{}

func (NodeName) Name() string { return "NodeName" }

func (NodeName) Refuses(cl *class, n *node) bool { return cl.nodeName != "" && cl.nodeName != n.name }

func (NodeName) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) didn't match the requested node name"}
}
