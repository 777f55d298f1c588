package scheduler

import (
	"math"

	corev1 "k8s.io/api/core/v1"
)

// survey judges all nodes that a class' other filters let pass by what runs
// elsewhere, and scores them. It costs a few additions for each node.
func (c *cluster) survey(cl *class, changed bool) {
	o := c.outlookOf(cl)
	if o.idle() {
		cl.feasible, cl.total = cl.open, cl.scores
		clear(cl.refused[cl.plugins.local:])
		return
	}
	if !changed && o.surveyed {
		return
	}
	o.surveyed = true
	nodes := len(cl.scores)
	o.scores = append(o.scores[:0], cl.scores...)
	cl.total = o.scores
	cl.feasible = cl.open
	for len(o.by) < nodes {
		o.by = append(o.by, fits)
	}
	o.filter(cl)
	for _, b := range c.nominated {
		i := b.node.index
		if o.scores[i] == refusedScore {
			continue
		}
		if f, refused := c.refuser(cl, b.node, cl.plugins.local, len(cl.plugins.filters)); refused {
			o.scores[i], o.by[i] = refusedScore, int8(f)
			cl.feasible--
			cl.refused[f]++
		}
	}
	if cl.feasible == 0 {
		return
	}
	if len(o.draws) > 0 {
		o.drawn = sized(o.drawn, nodes)
		o.draw()
	}
	if len(o.soft) > 0 {
		o.crowded = sized(o.crowded, nodes)
		o.crowd(cl)
	}
	o.addScores(cl)
}

// addScores weighs the scores. Many nodes are alike, so most divisions are done once.
func (o *outlook) addScores(cl *class) {
	if len(o.draws) > 0 {
		raw, worth := o.drawnMin, int64(0)
		for i, score := range o.scores {
			if score == refusedScore {
				continue
			}
			if o.drawn[i] != raw {
				raw, worth = o.drawn[i], cl.plugins.draw*o.drawScore(int32(i))
			}
			o.scores[i] = score + worth
		}
	}
	if len(o.soft) > 0 {
		raw, worth := int64(unscored), int64(0)
		for i, score := range o.scores {
			if score == refusedScore {
				continue
			}
			if o.crowded[i] != raw {
				raw, worth = o.crowded[i], cl.plugins.spread*o.spreadScore(int32(i))
			}
			o.scores[i] = score + worth
		}
	}
}

func sized(s []int64, n int) []int64 {
	if cap(s) < n {
		return make([]int64, n, n+n/8)
	}
	s = s[:n]
	clear(s)
	return s
}

// filter refuses nodes, in the order of the filters.
func (o *outlook) filter(cl *class) {
	if f := cl.plugins.spreads; f >= 0 {
		before := cl.feasible
		for i := range o.hard {
			o.hard[i].prepare()
			o.refuse(cl, f, o.hard[i].refuses)
		}
		cl.refused[f] = before - cl.feasible
	}
	if f := cl.plugins.between; f >= 0 {
		before := cl.feasible
		if len(o.near) > 0 {
			o.refuse(cl, f, o.notNear)
		}
		for _, views := range [][]*view{o.apart, o.kept} {
			for _, v := range views {
				o.refuse(cl, f, func(n int32) bool { pods, _ := v.has(n); return pods > 0 })
			}
		}
		cl.refused[f] = before - cl.feasible
	}
}

func (o *outlook) refuse(cl *class, filter int, refuses func(int32) bool) {
	for i, score := range o.scores {
		if score != refusedScore && refuses(int32(i)) {
			o.scores[i], o.by[i] = refusedScore, int8(filter)
			cl.feasible--
		}
	}
}

// notNear reports that a node isn't where required affinity wants it. The first
// pod of a group may be anywhere that has the labels.
func (o *outlook) notNear(n int32) bool {
	any, missing := int64(0), false
	for _, v := range o.near {
		pods, ok := v.has(n)
		if !ok {
			return true
		}
		any += v.total
		missing = missing || pods <= 0
	}
	return missing && (any != 0 || !o.first)
}

// draw sums up preferences.
func (o *outlook) draw() {
	for _, v := range o.draws {
		at := v.zoning.at
		for i := range o.drawn {
			if i < len(at) && at[i] != nowhere {
				o.drawn[i] += v.sum[at[i]]
			}
		}
	}
	o.drawnMin, o.drawnMax = math.MaxInt64, math.MinInt64
	for i, score := range o.scores {
		if score != refusedScore {
			o.drawnMin, o.drawnMax = min(o.drawnMin, o.drawn[i]), max(o.drawnMax, o.drawn[i])
		}
	}
}

// drawScore is what a node scores by preferences between pods.
func (o *outlook) drawScore(n int32) int64 {
	if len(o.draws) == 0 || int(n) >= len(o.drawn) || o.drawnMax == o.drawnMin {
		return 0
	}
	return best * (o.drawn[n] - o.drawnMin) / (o.drawnMax - o.drawnMin)
}

// crowd counts how crowded each node is by constraints that needn't be met. A domain's
// pods count the more, the more domains there are.
func (o *outlook) crowd(cl *class) {
	scored := 0
	for i, score := range o.scores {
		if score == refusedScore || cl.allKeys && o.lacksKey(int32(i)) {
			o.crowded[i] = unscored
			continue
		}
		scored++
	}
	for k := range o.soft {
		s := &o.soft[k]
		z := s.view.zoning
		weight := weightOf(scored)
		if s.topologyKey != corev1.LabelHostname {
			weight = weightOf(o.domains(z))
		}
		slack := (s.maxSkew - 1) << 16
		for i, c := range o.crowded {
			if c != unscored && i < len(z.at) && z.at[i] != nowhere {
				o.crowded[i] += s.view.sum[z.at[i]]*weight + slack
			}
		}
	}
	o.crowdedMin, o.crowdedMax = math.MaxInt64, 0
	for _, c := range o.crowded {
		if c != unscored {
			o.crowdedMin, o.crowdedMax = min(o.crowdedMin, c), max(o.crowdedMax, c)
		}
	}
}

func (o *outlook) lacksKey(n int32) bool {
	for k := range o.soft {
		if _, ok := o.soft[k].view.has(n); !ok {
			return true
		}
	}
	return false
}

// domains is how many a zoning has among the nodes that are scored; nodes outside
// of all are one.
func (o *outlook) domains(z *zoning) int {
	for len(o.seen) < len(z.values)+1 {
		o.seen = append(o.seen, 0)
	}
	o.stamp++
	found := 0
	for i, c := range o.crowded {
		if c == unscored {
			continue
		}
		d := z.of(int32(i)) + 1
		if o.seen[d] != o.stamp {
			o.seen[d] = o.stamp
			found++
		}
	}
	return found
}

// spreadScore is what a node scores by how few pods are where it is.
func (o *outlook) spreadScore(n int32) int64 {
	switch {
	case len(o.soft) == 0 || int(n) >= len(o.crowded) || o.crowded[n] == unscored:
		return 0
	case o.crowdedMax == 0:
		return best
	}
	return best * (o.crowdedMax + o.crowdedMin - o.crowded[n]) / o.crowdedMax
}
