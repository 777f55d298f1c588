package scheduler

import (
	"slices"
	"strconv"
)

// bring has a crowd carry a rule of its own: others are judged by it where
// its pods are.
func (t *topology) bring(w *crowd, b brings, of *term) {
	key := strconv.Itoa(int(b)) + "\x00" + strconv.FormatInt(of.weight, 10) + "\x00" + of.topologyKey + "\x00" + of.pods.key
	s := t.brought[key]
	if s == nil {
		s = &source{key: key, rule: rule{sets: []podSet{of.pods}}, brings: b, topic: of.topologyKey, weight: of.weight, byNode: map[int32]int32{}}
		t.brought[key] = s
		t.arrived = append(t.arrived, s)
	}
	s.uses++
	w.brings = append(w.brings, s)
	w.feeds = append(w.feeds, s)
}

// counting finds or makes the count of the pods that a rule is about.
func (t *topology) counting(r rule) *source {
	key := r.key()
	s := t.counts[key]
	if s == nil {
		s = &source{key: key, rule: r, byNode: map[int32]int32{}}
		t.counts[key] = s
		for _, w := range t.crowds {
			if r.about(w.namespace, t.namespaces[w.namespace], w.labels, w.deleting) {
				w.feeds = append(w.feeds, s)
				for node, pods := range w.byNode {
					s.add(node, pods)
				}
			}
		}
	}
	s.uses++
	return s
}

// uncount gives a count back.
func (t *topology) uncount(s *source) {
	if s.uses--; s.uses > 0 || t.counts[s.key] != s {
		return
	}
	delete(t.counts, s.key)
	for _, w := range t.crowds {
		w.feeds = without(w.feeds, s)
	}
}

// zoning is that of all nodes by a topology key.
func (t *topology) zoning(key string) *zoning {
	z := t.zonings[key]
	if z == nil {
		z = newZoning(key, nil, t.cluster.nodes)
		t.zonings[key] = z
	}
	return z
}

// specialZoning is one of only some nodes, for one class.
func (t *topology) specialZoning(key string, counts func(*node) bool) *zoning {
	z := newZoning(key, counts, t.cluster.nodes)
	t.special[z] = struct{}{}
	return z
}

func without[T comparable](list []T, x T) []T {
	return slices.DeleteFunc(list, func(y T) bool { return y == x })
}
