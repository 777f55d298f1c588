package scheduler

import "slices"

// plugins is which filters and scores decide, in what order and with what weight.
type plugins struct {
	// filters in the order in which Kubernetes asks them: a node's reasons are
	// those of the first that refuses it. The first static ones look only at the
	// node object, the others also at what runs on the node.
	filters []filter
	static  int
	// scores: likewise, the first staticScores look only at the node object.
	scores       []weighted
	staticScores int
	// The last filters and scores look at pods on other nodes too: see outlook. between
	// and spreads are the indexes of theirs, -1 if off; spread and draw their weights.
	local            int
	localScores      int
	spreads, between int
	spread, draw     int64
	preemption       preemptionArgs
	settings         settings
}

// weighted is a score and what it counts.
type weighted struct {
	score
	weight int64
}

// known are the plugins there are, with Kubernetes' default weights.
func known(s settings) (p plugins) {
	p.settings = s
	p.preemption = s.preemption
	p.filters = []filter{
		NodeUnschedulable{}, NodeName{}, TaintToleration{}, NodeAffinity{},
		NodePorts{}, NodeResourcesFit{}, VolumeRestrictions{}, NodeVolumeLimits{}, VolumeBinding{}, VolumeZone{}, DynamicResources{},
		PodTopologySpread{}, InterPodAffinity{},
	}
	p.static, p.local = 4, 11
	p.scores = []weighted{
		{TaintToleration{}, 3}, {NodeAffinity{}, 2},
		{s.fit, 1}, {NodeResourcesBalancedAllocation{s.balanced}, 1}, {ImageLocality{}, 1}, {DynamicResources{}, 2},
		{PodTopologySpread{}, 2}, {InterPodAffinity{}, 2},
	}
	p.staticScores, p.localScores = 2, 6
	p.findOutlook()
	return p
}

// chosen keeps the filters that are on, and the scores whose weight isn't 0.
func (p plugins) chosen(on map[string]bool, weights map[string]int64) (out plugins) {
	out.settings, out.preemption = p.settings, p.preemption
	for i, f := range p.filters {
		if !on[f.Name()] {
			continue
		}
		out.filters = append(out.filters, f)
		if i < p.static {
			out.static++
		}
		if i < p.local {
			out.local++
		}
	}
	for i, s := range p.scores {
		w := weights[s.Name()]
		if w == 0 {
			continue
		}
		out.scores = append(out.scores, weighted{s.score, w})
		if i < p.staticScores {
			out.staticScores++
		}
		if i < p.localScores {
			out.localScores++
		}
	}
	out.findOutlook()
	return out
}

func (p *plugins) findOutlook() {
	index := func(name string) int {
		return slices.IndexFunc(p.filters, func(f filter) bool { return f.Name() == name })
	}
	p.spreads, p.between = index(PodTopologySpread{}.Name()), index(InterPodAffinity{}.Name())
	p.spread, p.draw = p.weight(PodTopologySpread{}.Name()), p.weight(InterPodAffinity{}.Name())
}

// affinity is the index of the filter NodeAffinity, -1 if it is off.
func (p plugins) affinity() int {
	return slices.IndexFunc(p.filters, func(f filter) bool { return f.Name() == NodeAffinity{}.Name() })
}

// names are those of all filters and scores, each once.
func (p plugins) names() (out []string) {
	for _, f := range p.filters {
		out = append(out, f.Name())
	}
	for _, s := range p.scores {
		if !slices.Contains(out, s.Name()) {
			out = append(out, s.Name())
		}
	}
	return out
}

// weight is that of a score by name, 0 if there is none.
func (p plugins) weight(score string) int64 {
	for _, s := range p.scores {
		if s.Name() == score {
			return s.weight
		}
	}
	return 0
}

// on gives what scores resources their indexes in a cluster.
func (p *plugins) on(r *resourceNames) *plugins {
	out := *p
	out.scores = slices.Clone(p.scores)
	for i, s := range out.scores {
		switch s := s.score.(type) {
		case resourcesScore:
			s.resources = on(r, s.resources)
			out.scores[i].score = s
		case NodeResourcesBalancedAllocation:
			out.scores[i].score = NodeResourcesBalancedAllocation{on(r, s.resources)}
		}
	}
	return &out
}
