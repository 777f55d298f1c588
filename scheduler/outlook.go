package scheduler

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// outlook is what the pods on nodes mean to a class: where its own rules and
// theirs let its pods be, and like them to be.
type outlook struct {
	epoch   uint64
	arrived int // how many of the rules that pods bring were looked at
	// surveyed is false when other rules than in the last survey concern the class.
	surveyed bool

	near  []*view // required affinity: each must have pods
	first bool    // the class matches its own affinity
	apart []*view // required anti-affinity: none may have pods
	kept  []*view // required anti-affinity of the pods on nodes
	draws []*view // preferences of both: weights
	hard  []spread
	soft  []spread
	// Whose preferences count.
	theirs bool

	sources []*source
	special []*zoning

	// By node index, of the last survey.
	scores  []int64 // in all; refusedScore
	by      []int8  // the filter that refuses it, if one of those that look at other pods does
	drawn   []int64
	crowded []int64 // not at all where it is unscored
	seen    []uint32
	stamp   uint32

	drawnMin, drawnMax, crowdedMin, crowdedMax int64
}

// spread is a constraint at work.
type spread struct {
	constraint
	view  *view
	own   int64 // 1 if the pod itself counts
	limit int64 // more pods than that in a domain are too many
	turn  uint64
	ready bool
}

const unscored = -1

// outlookOf brings a class' outlook up to date but for what survey does.
func (c *cluster) outlookOf(cl *class) *outlook {
	t := &c.topology
	o := cl.outlook
	if o == nil || o.epoch != t.epoch {
		t.close(o)
		o = t.open(cl)
		cl.outlook = o
	}
	if cl.crowd == nil {
		return o
	}
	of := t.namespaces[cl.crowd.namespace]
	for _, s := range t.arrived[o.arrived:] {
		if s.uses > 0 && s.rule.about(cl.crowd.namespace, of, cl.crowd.labels, false) {
			t.concern(cl, o, s)
			o.surveyed = false
		}
	}
	o.arrived = len(t.arrived)
	return o
}

// idle is an outlook on nothing: the class doesn't care what runs elsewhere.
func (o *outlook) idle() bool {
	return len(o.near)+len(o.apart)+len(o.kept)+len(o.draws)+len(o.hard)+len(o.soft) == 0
}

// open makes an outlook by a class' own rules.
func (t *topology) open(cl *class) *outlook {
	o := &outlook{epoch: t.epoch}
	w := cl.crowd
	if w == nil {
		return o
	}
	s := &cl.plugins.settings
	o.theirs = len(w.prefers) > 0 || !s.ignoresTheirs
	if cl.plugins.between >= 0 {
		t.openRequired(o, w)
	}
	if cl.plugins.draw != 0 {
		for i := range w.prefers {
			p := &w.prefers[i]
			t.feed(o, viewOf(&o.draws, t.zoning(p.topologyKey)), rule{sets: []podSet{p.pods}}, p.weight)
		}
	}
	t.openSpread(o, cl)
	return o
}

func (t *topology) openRequired(o *outlook, w *crowd) {
	if len(w.near) > 0 {
		all := rule{}
		for i := range w.near {
			all.sets = append(all.sets, w.near[i].pods)
		}
		o.first = all.about(w.namespace, t.namespaces[w.namespace], w.labels, false)
		for i := range w.near {
			before := len(o.near)
			if v := viewOf(&o.near, t.zoning(w.near[i].topologyKey)); len(o.near) > before {
				t.feed(o, v, all, 1)
			}
		}
	}
	for i := range w.apart {
		a := &w.apart[i]
		t.feed(o, viewOf(&o.apart, t.zoning(a.topologyKey)), rule{sets: []podSet{a.pods}}, 1)
	}
}

// viewOf finds the view with a zoning, or adds one.
func viewOf(views *[]*view, z *zoning) *view {
	for _, v := range *views {
		if v.zoning == z {
			return v
		}
	}
	v := newView(z)
	*views = append(*views, v)
	return v
}

func (t *topology) feed(o *outlook, v *view, r rule, weight int64) {
	s := t.counting(r)
	o.sources = append(o.sources, s)
	v.follow(s, weight)
}

// concern adds a rule that pods on nodes have, and that is about the class.
func (t *topology) concern(cl *class, o *outlook, s *source) {
	settings := &cl.plugins.settings
	z := t.zoning(s.topic)
	switch {
	case s.brings == repels && cl.plugins.between >= 0:
		viewOf(&o.kept, z).follow(s, 1)
	case cl.plugins.draw == 0 || !o.theirs:
	case s.brings == needs && settings.nearWeight > 0:
		viewOf(&o.draws, z).follow(s, settings.nearWeight)
	case s.brings == attract:
		viewOf(&o.draws, z).follow(s, s.weight)
	}
}

// openSpread takes in the class' topology spread constraints.
func (t *topology) openSpread(o *outlook, cl *class) {
	for _, hard := range []bool{true, false} {
		if hard && cl.plugins.spreads < 0 || !hard && cl.plugins.spread == 0 {
			continue
		}
		var keys []string
		for i := range cl.constraints {
			if k := &cl.constraints[i]; k.hard == hard {
				keys = append(keys, k.topologyKey)
			}
		}
		for i := range cl.constraints {
			k := &cl.constraints[i]
			if k.hard != hard {
				continue
			}
			s := spread{constraint: *k}
			if k.pods.has(cl.crowd.namespace, nil, cl.crowd.labels) {
				s.own = 1
			}
			s.view = newView(t.spreadZoning(o, cl, k, keys))
			t.feed(o, s.view, k.counted(), 1)
			if hard {
				o.hard = append(o.hard, s)
			} else {
				o.soft = append(o.soft, s)
			}
		}
	}
}

// spreadZoning is that of the nodes that count for a constraint.
func (t *topology) spreadZoning(o *outlook, cl *class, k *constraint, keys []string) *zoning {
	soft := !k.hard
	if soft && k.topologyKey == corev1.LabelHostname {
		return t.zoning(k.topologyKey) // Kubernetes counts each node by itself
	}
	var others []string
	if !soft || cl.allKeys {
		for _, key := range keys {
			if key != k.topologyKey {
				others = append(others, key)
			}
		}
	}
	selected := k.selected && cl.selects
	if !selected && !k.untainted && len(others) == 0 {
		return t.zoning(k.topologyKey)
	}
	z := t.specialZoning(k.topologyKey, func(n *node) bool {
		for _, key := range others {
			if _, ok := n.object.Labels[key]; !ok {
				return false
			}
		}
		if selected {
			if ok, err := cl.required.Match(n.object); !ok || err != nil {
				return false
			}
		}
		return !k.untainted || !(TaintToleration{}).Refuses(cl, n)
	})
	o.special = append(o.special, z)
	return z
}

// close gives an outlook's views back.
func (t *topology) close(o *outlook) {
	if o == nil {
		return
	}
	for _, views := range [][]*view{o.near, o.apart, o.kept, o.draws} {
		for _, v := range views {
			v.close()
		}
	}
	for _, spreads := range [][]spread{o.hard, o.soft} {
		for i := range spreads {
			spreads[i].view.close()
		}
	}
	for _, s := range o.sources {
		t.uncount(s)
	}
	for _, z := range o.special {
		delete(t.special, z)
	}
}

// leave drops what a class that is forgotten holds.
func (t *topology) leave(cl *class) {
	t.close(cl.outlook)
	cl.outlook = nil
	t.disuse(cl.crowd)
}

// prepare computes the limit, if anything changed.
func (s *spread) prepare() {
	if s.ready && s.turn == s.view.turn {
		return
	}
	s.ready, s.turn = true, s.view.turn
	z := s.view.zoning
	least := int64(math.MaxInt64)
	for d, nodes := range z.nodes {
		if nodes > 0 {
			least = min(least, s.view.sum[d])
		}
	}
	if z.filled < s.minDomains || z.filled == 0 {
		least = 0
	}
	s.limit = s.maxSkew + least - s.own
}

func (s *spread) refuses(n int32) bool {
	pods, ok := s.view.has(n)
	return !ok || pods > s.limit
}

// weightOf is what a pod in a domain counts when there are that many domains, in
// parts of 1<<16, so that all machines agree.
func weightOf(domains int) int64 {
	return int64(math.Round(math.Log(float64(domains+2)) * (1 << 16)))
}

// constraintsOf are a pod's own constraints, or the default ones.
func (t *topology) constraintsOf(pod *corev1.Pod, w *crowd, p *plugins) (list []constraint, key string, allKeys bool) {
	switch {
	case w == nil:
		return nil, "", false
	case w.spreads:
		return w.constraints, "", true
	case len(p.settings.spreads) == 0:
		return nil, "", false
	}
	by := t.defaultSelector(pod, w)
	if by == nil {
		return nil, "", false
	}
	list = make([]constraint, len(p.settings.spreads))
	pods := newPodSet([]string{pod.Namespace}, labels.Nothing(), by)
	for i, c := range p.settings.spreads {
		c.pods = pods
		list[i] = c
	}
	return list, pods.key, !p.settings.systemSpreads
}
