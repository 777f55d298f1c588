package scheduler

import (
	"slices"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Trial is where a pod would go, and what every node is to it.
type Trial struct {
	Placement
	Table []NodeVerdict `json:"table"` // those that fit first, the best of them first
}

// NodeVerdict is what one node is to a pod.
type NodeVerdict struct {
	Node    string   `json:"node"`
	Filter  string   `json:"filter,omitempty"`  // that refuses it first; "": it fits
	Reasons []string `json:"reasons,omitempty"` // of the filter
	Total   int64    `json:"total"`             // of the scores times their weights
	Scores  []Scored `json:"scores,omitempty"`
}

// Try is [Place] that looks at each node by itself. Nothing is changed.
func Try(s *projections.Snapshot, pod *corev1.Pod, config *Config) Trial {
	c := newClusterOf(s, config)
	cl := c.classOf(c.withClaims(s, pod))
	t := Trial{Placement: place(c, cl)}
	for _, n := range c.nodes {
		if n == nil || n.object == nil {
			continue
		}
		v := NodeVerdict{Node: n.name}
		if f := slices.IndexFunc(cl.plugins.filters, func(f filter) bool { return f.Refuses(cl, n) }); f >= 0 {
			v.Filter, v.Reasons = cl.plugins.filters[f].Name(), cl.plugins.filters[f].Reasons(c, cl, n)
		} else {
			v.Scores, v.Total = c.scored(cl, n)
		}
		t.Table = append(t.Table, v)
	}
	slices.SortStableFunc(t.Table, func(a, b NodeVerdict) int {
		switch {
		case (a.Node == t.Node) != (b.Node == t.Node):
			return order(a.Node == t.Node)
		case (a.Filter == "") != (b.Filter == ""):
			return order(a.Filter == "")
		case a.Total != b.Total:
			return order(a.Total > b.Total)
		}
		return strings.Compare(a.Node, b.Node)
	})
	return t
}

func order(first bool) int {
	if first {
		return -1
	}
	return 1
}

// scored gives a node's scores, 0 to 100, and their weighted sum.
func (c *cluster) scored(cl *class, n *node) (out []Scored, total int64) {
	for _, s := range cl.plugins.scores {
		score := s.Score(c, cl, n)
		out = append(out, Scored{s.Name(), score * 100 / best})
		total += s.weight * score
	}
	return out, total * 100 / best
}

// Room is how many pods like one fit, and why no more do.
type Room struct {
	Pods    int        `json:"pods"`
	Nodes   []NodeRoom `json:"nodes"` // those that take some, the most first
	Refused []Refused  `json:"refused"`
	Message string     `json:"message"` // why the next one doesn't fit; "": the limit is reached
}

// NodeRoom is how many of them one node takes.
type NodeRoom struct {
	Node string `json:"node"`
	Pods int    `json:"pods"`
}

// Fit places pods like one, one after the other, until no more fits or there are
// limit of them. Nothing is changed. Claims are looked at as if all of them shared the pod's.
func Fit(s *projections.Snapshot, pod *corev1.Pod, config *Config, limit int) Room {
	c := newClusterOf(s, config)
	pod = c.withClaims(s, pod)
	var r Room
	on := map[string]int{}
	for {
		cl := c.classOf(pod)
		n := schedule(c, cl)
		if n == nil {
			r.Refused = explain(c, cl, nil).Refused
			r.Message, _ = refusal(c, cl)
			break
		}
		if r.Pods == limit {
			break
		}
		r.Pods++
		on[n.name]++
		c.takeTried(pod, cl, n, r.Pods)
		next := *pod
		next.UID = types.UID("fit-" + strconv.Itoa(r.Pods))
		next.Spec.NodeName = n.name
		c.setPod(&next)
		c.trim()
	}
	for _, n := range c.nodes {
		if n != nil && on[n.name] > 0 {
			r.Nodes = append(r.Nodes, NodeRoom{n.name, on[n.name]})
		}
	}
	slices.SortStableFunc(r.Nodes, func(a, b NodeRoom) int {
		if a.Pods != b.Pods {
			return b.Pods - a.Pods
		}
		return strings.Compare(a.Node, b.Node)
	})
	return r
}
