package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// explain says why schedule chose a node.
func explain(c *cluster, cl *class, n *node) Placement {
	p := Placement{Nodes: c.ready, Feasible: cl.feasible}
	for f, count := range cl.refused {
		if count > 0 {
			p.Refused = append(p.Refused, Refused{cl.plugins.filters[f].Name(), count})
		}
	}
	if n == nil {
		return p
	}
	p.Node = n.name
	for _, s := range cl.plugins.scores {
		p.Scores = append(p.Scores, Scored{s.Name(), s.Score(c, cl, n) * 100 / best})
	}
	return p
}

// why is explain in the form that goes into the event: compact JSON, bounded by
// the number of filters and scores.
func why(c *cluster, cl *class, n *node) string {
	b := make([]byte, 0, 256)
	b = append(b, `{"nodes":`...)
	b = strconv.AppendInt(b, int64(c.ready), 10)
	b = append(b, `,"feasible":`...)
	b = strconv.AppendInt(b, int64(cl.feasible), 10)
	open := `,"refused":{"`
	for f, count := range cl.refused {
		if count > 0 {
			b = append(append(append(b, open...), cl.plugins.filters[f].Name()...), `":`...)
			b = strconv.AppendInt(b, int64(count), 10)
			open = `,"`
		}
	}
	if open == `,"` {
		b = append(b, '}')
	}
	if n != nil {
		open = `,"scores":{"`
		for _, s := range cl.plugins.scores {
			b = append(append(append(b, open...), s.Name()...), `":`...)
			b = strconv.AppendInt(b, s.Score(c, cl, n)*100/best, 10)
			open = `,"`
		}
		b = append(b, '}')
	}
	return string(append(b, '}'))
}

// refusal says in Kubernetes' words why no node fits a class, and gives the
// reasons without their counts: what a change of reasons is measured by.
func refusal(c *cluster, cl *class) (message, reasons string) {
	if c.ready == 0 {
		return noNodes, noNodes
	}
	if cl.claimed != nil && cl.claimed.problem != "" {
		message = fmt.Sprintf("0/%d nodes are available: %s.", c.ready, cl.claimed.problem)
		return message, reasonsIn(message)
	}
	counts := map[string]int{}
	judged := 0
	judge := func(n *node) {
		judged++
		for _, f := range cl.plugins.filters {
			if f.Refuses(cl, n) {
				for _, r := range f.Reasons(c, cl, n) {
					counts[r]++
				}
				return
			}
		}
	}
	if cl.only != nil {
		for _, name := range cl.only {
			if n := c.byName[name]; n != nil && n.object != nil {
				judge(n)
			}
		}
		if rest := c.ready - judged; rest > 0 {
			counts["node(s) didn't satisfy plugin(s) [NodeAffinity]"] += rest
		}
	} else {
		for _, n := range c.nodes {
			if n != nil && n.object != nil {
				judge(n)
			}
		}
	}
	message = fmt.Sprintf("0/%d nodes are available:", c.ready)
	if len(counts) > 0 {
		parts := make([]string, 0, len(counts))
		for r, n := range counts {
			parts = append(parts, fmt.Sprintf("%d %s", n, r))
		}
		slices.Sort(parts)
		message += " " + strings.Join(parts, ", ") + "."
	}
	return message, reasonsIn(message)
}

const noNodes = "no nodes available to schedule pods"

// reasonsIn takes the counts out of a message of refusal.
func reasonsIn(message string) string {
	_, list, ok := strings.Cut(message, ": ")
	if !ok {
		return message
	}
	parts := strings.Split(strings.TrimSuffix(list, "."), ", ")
	for i, p := range parts {
		parts[i] = strings.TrimLeft(p, "0123456789 ")
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
