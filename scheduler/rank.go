package scheduler

import (
	"cmp"
	"slices"
)

// Of equally good nodes the first by name is taken: whoever works a placement out from the log
// alone comes to the same.

// ranks gives each node's place by name, by index.
func (c *cluster) ranks() []int32 {
	if !c.unranked {
		return c.ranked
	}
	c.unranked = false
	order := make([]int32, 0, len(c.nodes))
	for i, n := range c.nodes {
		if n != nil {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(c.nodes[a].name, c.nodes[b].name) })
	for len(c.ranked) < len(c.nodes) {
		c.ranked = append(c.ranked, 0)
	}
	for rank, i := range order {
		c.ranked[i] = int32(rank)
	}
	return c.ranked
}
