package scheduler

// NodeResourcesFit refuses nodes that lack a resource the pod requests.
type NodeResourcesFit struct{}

func (NodeResourcesFit) Name() string { return "NodeResourcesFit" }

func (NodeResourcesFit) Refuses(cl *class, n *node) bool {
	for _, r := range cl.demand.requests {
		if r.amount > n.free(r.resource) {
			return true
		}
	}
	return false
}

func (NodeResourcesFit) Reasons(c *cluster, cl *class, n *node) []string {
	var out []string
	for _, r := range cl.demand.requests {
		switch {
		case r.amount <= n.free(r.resource):
		case r.resource == podsIndex:
			out = append(out, "Too many pods")
		default:
			out = append(out, "Insufficient "+string(c.resources.names[r.resource]))
		}
	}
	return out
}
