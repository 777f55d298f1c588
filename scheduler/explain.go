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
			p.Refused = append(p.Refused, Refused{cl.plugins.filters[f].Name(), count, names(c.sample(cl, f, nil))})
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
// the number of filters and scores. Scores of 0 are left out.
func why(c *cluster, cl *class, n *node) string {
	b := make([]byte, 0, 320)
	b = append(b, `{"nodes":`...)
	b = strconv.AppendInt(b, int64(c.ready), 10)
	b = append(b, `,"feasible":`...)
	b = strconv.AppendInt(b, int64(cl.feasible), 10)
	b = appendCounts(b, "refused", func(yield func(string, int64)) {
		for f, count := range cl.refused {
			if count > 0 {
				yield(cl.plugins.filters[f].Name(), int64(count))
			}
		}
	})
	b = appendSamples(b, c, cl)
	if n != nil {
		b = appendCounts(b, "scores", func(yield func(string, int64)) {
			for _, s := range cl.plugins.scores {
				if score := s.Score(c, cl, n) * 100 / best; score != 0 {
					yield(s.Name(), score)
				}
			}
		})
	}
	return string(append(b, '}'))
}

// appendCounts writes a field of named numbers, if there is one.
func appendCounts(b []byte, field string, all func(yield func(string, int64))) []byte {
	open := false
	all(func(name string, count int64) {
		if open {
			b = append(b, `,"`...)
		} else {
			b = append(append(append(b, `,"`...), field...), `":{"`...)
			open = true
		}
		b = append(append(b, name...), `":`...)
		b = strconv.AppendInt(b, count, 10)
	})
	if open {
		b = append(b, '}')
	}
	return b
}

const (
	sampled     = 2   // nodes named for each filter
	sampleBytes = 384 // no more are named then
)

// appendSamples names some of the nodes that each filter refuses.
func appendSamples(b []byte, c *cluster, cl *class) []byte {
	var space [sampled]*node
	begin, open := len(b), false
	for f := range cl.refused {
		nodes := c.sample(cl, f, space[:0])
		if len(nodes) == 0 || len(b)-begin > sampleBytes {
			continue
		}
		if open {
			b = append(b, `,"`...)
		} else {
			b = append(b, `,"sample":{"`...)
			open = true
		}
		b = append(append(b, cl.plugins.filters[f].Name()...), `":[`...)
		for i, n := range nodes {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(append(b, '"'), n.name...), '"') // a DNS name
		}
		b = append(b, ']')
	}
	if open {
		b = append(b, '}')
	}
	return b
}

// sample gives some of the nodes that a filter refuses. Those it gave last are
// given again while they are refused: other nodes are rarely looked at.
func (c *cluster) sample(cl *class, f int, out []*node) []*node {
	want := min(cl.refused[f], sampled)
	if want == 0 || cl.verdicts == nil {
		return out
	}
	known := &cl.samples[f]
	for _, i := range known {
		if len(out) < want && int(i) < len(cl.verdicts) && cl.refuserOf(i) == int8(f) && !slices.Contains(out, c.nodes[i]) {
			out = append(out, c.nodes[i])
		}
	}
	if len(out) == want {
		return out
	}
	out = out[:0]
	for i := range cl.verdicts {
		if cl.refuserOf(int32(i)) == int8(f) {
			known[len(out)] = int32(i)
			if out = append(out, c.nodes[i]); len(out) == want {
				break
			}
		}
	}
	return out
}

func names(nodes []*node) []string {
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n.name)
	}
	return out
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
	if cl.wanted != nil && cl.wanted.problem != "" {
		message = fmt.Sprintf("0/%d nodes are available: %s.", c.ready, cl.wanted.problem)
		return message, reasonsIn(message)
	}
	counts := map[string]int{}
	judged := 0
	judge := func(n *node) {
		judged++
		for _, r := range c.reasons(cl, n) {
			counts[r]++
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
	message, more, preempted := strings.Cut(message, " preemption: ")
	if preempted {
		return reasonsIn(message) + "; " + reasonsIn(more)
	}
	message, gang, ganged := strings.Cut(message, " gang: ")
	if ganged {
		return reasonsIn(message) + "; gang: " + gang
	}
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
