package scheduler

import "slices"

// zoning says in which domain of one topology key each node is: nodes with
// equal values of the label are one domain.
type zoning struct {
	key    string
	counts func(*node) bool // which of the nodes with the label are in it; nil: all
	at     []int32          // by node index: its domain, or nowhere
	ids    map[string]int32
	values []string // by domain
	free   []int32  // domains without a node
	nodes  []int32  // by domain
	filled int      // domains with nodes
	views  []*view
}

const nowhere = -1

func newZoning(key string, counts func(*node) bool, nodes []*node) *zoning {
	z := &zoning{key: key, counts: counts, ids: map[string]int32{}}
	for _, n := range nodes {
		if n != nil {
			z.set(n)
		}
	}
	return z
}

// of is a node's domain.
func (z *zoning) of(node int32) int32 {
	if int(node) < len(z.at) {
		return z.at[node]
	}
	return nowhere
}

// set takes in that a node may be elsewhere now.
func (z *zoning) set(n *node) {
	for int(n.index) >= len(z.at) {
		z.at = append(z.at, nowhere)
	}
	before, now := z.at[n.index], int32(nowhere)
	if n.object != nil {
		if value, ok := n.object.Labels[z.key]; ok && (z.counts == nil || z.counts(n)) {
			now = z.domain(value)
		}
	}
	if before == now {
		return
	}
	z.at[n.index] = now
	if now != nowhere {
		if z.nodes[now]++; z.nodes[now] == 1 {
			z.filled++
		}
	}
	for _, v := range z.views {
		v.move(n.index, before, now)
		v.turn++
	}
	if before != nowhere {
		if z.nodes[before]--; z.nodes[before] == 0 {
			z.filled--
			delete(z.ids, z.values[before])
			z.free = append(z.free, before)
		}
	}
}

func (z *zoning) domain(value string) int32 {
	if id, ok := z.ids[value]; ok {
		return id
	}
	id := int32(len(z.values))
	if last := len(z.free) - 1; last >= 0 {
		id, z.free = z.free[last], z.free[:last]
		z.values[id] = value
	} else {
		z.values, z.nodes = append(z.values, value), append(z.nodes, 0)
		for _, v := range z.views {
			v.sum = append(v.sum, 0)
		}
	}
	z.ids[value] = id
	return id
}

// source counts, by node, the pods that one rule is about, or those that bring one rule
// with them.
type source struct {
	key    string
	rule   rule
	brings brings
	topic  string // the topology key of a rule that pods bring
	weight int64  // of a preferred one
	byNode map[int32]int32
	links  []link
	uses   int
}

// link feeds a source's counts to a view.
type link struct {
	view   *view
	weight int64
}

func (s *source) add(node, by int32) {
	if left := s.byNode[node] + by; left != 0 {
		s.byNode[node] = left
	} else {
		delete(s.byNode, node)
	}
	for _, l := range s.links {
		l.view.add(l.view.zoning.of(node), int64(by)*l.weight)
	}
}

// view sums up sources by the domains of a zoning.
type view struct {
	zoning *zoning
	feeds  []feed
	sum    []int64 // by domain
	total  int64
	turn   uint64 // of the last change
}

type feed struct {
	source *source
	weight int64
}

func newView(z *zoning) *view {
	v := &view{zoning: z, sum: make([]int64, len(z.values))}
	z.views = append(z.views, v)
	return v
}

// follow adds a source to what the view sums up.
func (v *view) follow(s *source, weight int64) {
	v.feeds = append(v.feeds, feed{s, weight})
	s.links = append(s.links, link{v, weight})
	for node, pods := range s.byNode {
		v.add(v.zoning.of(node), int64(pods)*weight)
	}
}

func (v *view) add(domain int32, by int64) {
	if domain != nowhere {
		v.sum[domain] += by
		v.total += by
		v.turn++
	}
}

// move takes a node's pods from one domain to another.
func (v *view) move(node, from, to int32) {
	for _, f := range v.feeds {
		pods := int64(f.source.byNode[node]) * f.weight
		v.add(from, -pods)
		v.add(to, pods)
	}
}

// has is the sum of a node's domain, and whether it is in one.
func (v *view) has(node int32) (int64, bool) {
	d := v.zoning.of(node)
	if d == nowhere {
		return 0, false
	}
	return v.sum[d], true
}

// close cuts a view off its zoning and sources.
func (v *view) close() {
	v.zoning.views = without(v.zoning.views, v)
	for _, f := range v.feeds {
		f.source.links = slices.DeleteFunc(f.source.links, func(l link) bool { return l.view == v })
	}
}
