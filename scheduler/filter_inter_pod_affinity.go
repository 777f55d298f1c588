package scheduler

// InterPodAffinity refuses nodes that a pod's required affinity or anti-affinity to
// other pods keeps it from, or theirs to it.
type InterPodAffinity struct{}

func (InterPodAffinity) Name() string { return "InterPodAffinity" }

func (p InterPodAffinity) Refuses(cl *class, n *node) bool {
	return cl.outlook != nil && p.reason(cl.outlook, n) != ""
}

func (p InterPodAffinity) Reasons(_ *cluster, cl *class, n *node) []string {
	return []string{p.reason(cl.outlook, n)}
}

const notNear = "node(s) didn't match pod affinity rules"

func (InterPodAffinity) reason(o *outlook, n *node) string {
	if len(o.near) > 0 && o.notNear(n.index) {
		return notNear
	}
	for _, v := range o.apart {
		if pods, _ := v.has(n.index); pods > 0 {
			return "node(s) didn't match pod anti-affinity rules"
		}
	}
	for _, v := range o.kept {
		if pods, _ := v.has(n.index); pods > 0 {
			return "node(s) didn't satisfy existing pods anti-affinity rules"
		}
	}
	return ""
}

// Lasting reports that the pods which affinity wants aren't there: taking others
// away brings none.
func (p InterPodAffinity) Lasting(_ *cluster, cl *class, n *node) bool {
	return p.reason(cl.outlook, n) == notNear
}
