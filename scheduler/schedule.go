package scheduler

import (
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
)

// Placement is a decision about one pod, and why.
type Placement struct {
	Node     string    `json:"node"`  // "" when no node fits
	Nodes    int       `json:"nodes"` // how many there are
	Feasible int       `json:"feasible"`
	Scores   []Scored  `json:"scores"`  // of Node: 0 to 100, unweighted
	Refused  []Refused `json:"refused"` // how many nodes each filter refused
	Message  string    `json:"message"` // when no node fits: Kubernetes' words
}

// Scored is what one score gave the chosen node.
type Scored struct {
	Name  string `json:"name"`
	Score int64  `json:"score"`
}

// Refused is how many nodes one filter refused first.
type Refused struct {
	Filter string   `json:"filter"`
	Nodes  int      `json:"nodes"`
	Sample []string `json:"sample,omitempty"` // some of them
}

// Place decides about a pod by a snapshot alone, without side effect. A nil
// config is the default one.
func Place(s *projections.Snapshot, pod *corev1.Pod, config *Config) Placement {
	c := newClusterOf(s, config)
	return place(c, c.classOf(pod))
}

// place decides about a class of pods, and says why.
func place(c *cluster, cl *class) Placement {
	chosen := schedule(c, cl)
	p := explain(c, cl, chosen)
	if chosen == nil {
		p.Message, _ = refusal(c, cl)
	}
	return p
}

// schedule chooses the node for one pod of a class, nil if none fits. Among
// equals it takes the first by name.
func schedule(c *cluster, cl *class) *node {
	if cl.only != nil {
		return scheduleNamed(c, cl)
	}
	c.look(cl)
	if cl.feasible == 0 {
		return nil
	}
	chosen, top, ranks := -1, int64(refusedScore), c.ranks()
	for i, score := range cl.total {
		if score > top || score == top && chosen >= 0 && ranks[i] < ranks[chosen] {
			chosen, top = i, score
		}
	}
	return c.nodes[chosen]
}

// scheduleNamed is schedule for pods that name their nodes: no other is looked at.
func scheduleNamed(c *cluster, cl *class) *node {
	var chosen *node
	var top int64
	c.outlookOf(cl)
	cl.open = 0
	cl.refused = [len(cl.refused)]int{}
	seen := 0
	for _, name := range cl.only {
		n := c.byName[name]
		if n == nil || n.object == nil {
			continue
		}
		seen++
		v := verdict{}
		c.judgeObject(cl, &v, n)
		if v.by = v.staticBy; v.by == fits {
			c.judgeLoad(cl, &v, n)
		}
		if v.by == fits {
			if f, refused := c.refuser(cl, n, cl.plugins.local, len(cl.plugins.filters)); refused {
				v.by = int8(f)
			}
		}
		cl.count(v.by, 1)
		if v.by == fits && (chosen == nil || v.score > top || v.score == top && n.name < chosen.name) {
			chosen, top = n, v.score
		}
	}
	cl.feasible = cl.open
	cl.refused[cl.plugins.affinity()] += c.ready - seen
	return chosen
}
