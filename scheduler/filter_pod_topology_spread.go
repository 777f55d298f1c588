package scheduler

// PodTopologySpread refuses nodes in domains that have so many of the pods a
// constraint selects that one more would exceed its skew, and nodes in no domain at all.
type PodTopologySpread struct{}

func (PodTopologySpread) Name() string { return "PodTopologySpread" }

func (PodTopologySpread) Refuses(cl *class, n *node) bool {
	if cl.outlook == nil {
		return false
	}
	for i := range cl.outlook.hard {
		s := &cl.outlook.hard[i]
		s.prepare()
		if s.refuses(n.index) {
			return true
		}
	}
	return false
}

const (
	tooSkewed    = "node(s) didn't match pod topology spread constraints"
	labelMissing = tooSkewed + " (missing required label)"
)

// Reasons is that of the first constraint that isn't met.
func (p PodTopologySpread) Reasons(_ *cluster, cl *class, n *node) []string {
	return []string{p.reason(cl, n)}
}

func (PodTopologySpread) reason(cl *class, n *node) string {
	for i := range cl.outlook.hard {
		s := &cl.outlook.hard[i]
		value, ok := n.object.Labels[s.topologyKey]
		if !ok {
			return labelMissing
		}
		if d, ok := s.view.zoning.ids[value]; ok && s.view.sum[d] > s.limit || !ok && s.limit < 0 {
			return tooSkewed
		}
	}
	return tooSkewed
}

// Lasting reports that a node lacks a label: no pod that goes gives it one.
func (p PodTopologySpread) Lasting(_ *cluster, cl *class, n *node) bool {
	return p.reason(cl, n) == labelMissing
}
