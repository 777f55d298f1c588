package scheduler

// PodTopologySpread spreads the pods of one owner or service over nodes and
// zones: a node that has n of them scores 1/(1+n) of the best. The zone's part
// is the same for all nodes in it, so it is not kept per node: see zoneScores.
type PodTopologySpread struct{}

func (PodTopologySpread) Name() string { return "PodTopologySpread" }

func (PodTopologySpread) Score(c *cluster, cl *class, n *node) int64 {
	if cl.group == "" {
		return 0
	}
	return best / int64(1+c.groups[cl.group].onNode(n.index))
}

// zoneScore is what every node in a zone gets on top.
func (PodTopologySpread) zoneScore(g *group, zone int32) int64 {
	return best / int64(1+g.inZone(zone))
}
