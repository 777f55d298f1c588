package scheduler

import (
	"encoding/binary"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// topology is an index of the pods on nodes by what rules ask about them: affinity
// and anti-affinity between pods, and topology spread constraints.
//
//	pod ──► crowd (alike to every rule) ──► sources (counts by node) ──► views (sums by domain) ──► outlooks of classes
//
// A pod that comes or goes costs one addition for each view that its crowd is
// counted in, however many pods there are.
type topology struct {
	cluster    *cluster
	on         bool // a rule was seen; until then no pod is looked at
	stale      bool // a rule looks at a label that crowds don't have
	generation uint64
	labelKeys  []string // that rules look at
	crowds     map[string]*crowd
	counts     map[string]*source // of rules of classes
	brought    map[string]*source // of rules that pods on nodes have
	arrived    []*source          // brought, in order of arrival; gone ones stay until epoch
	gone       int
	epoch      uint64
	zonings    map[string]*zoning // of all nodes, by topology key
	special    map[*zoning]struct{}
	namespaces map[string]labels.Set
	among      bool // a rule looks at labels of namespaces
	scratch    []byte
	owners     owners
}

func newTopology(c *cluster) topology {
	return topology{
		cluster: c, crowds: map[string]*crowd{}, counts: map[string]*source{}, brought: map[string]*source{},
		zonings: map[string]*zoning{}, special: map[*zoning]struct{}{}, namespaces: map[string]labels.Set{},
		owners: newOwners(),
	}
}

// crowd is all pods that no rule can tell apart, and that have the same rules.
type crowd struct {
	key       string
	namespace string
	labels    labels.Set // those that rules look at
	deleting  bool

	near, apart, prefers []term
	constraints          []constraint
	spreads              bool // it has constraints of its own, if only ones that can't be compiled

	feeds  []*source // that its pods are counted in
	brings []*source // of its own rules, among feeds
	byNode map[int32]int32
	pods   int // on nodes
	uses   int // by classes
}

// brings says what a rule of a pod that is on a node does to others.
type brings uint8

const (
	repels  brings = iota + 1 // required anti-affinity
	needs                     // required affinity
	attract                   // preferred affinity or anti-affinity, by weight
)

// crowdOf finds or makes a pod's crowd; nil if no rule looks at it, and when the index
// is stale: then it is built anew before the next decision.
func (t *topology) crowdOf(pod *corev1.Pod) *crowd {
	a := pod.Spec.Affinity
	ruled := a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil) || len(pod.Spec.TopologySpreadConstraints) > 0
	if !t.on && !ruled {
		return nil
	}
	key := t.crowdKey(t.scratch[:0], pod)
	t.scratch = key[:0]
	if w := t.crowds[string(key)]; w != nil {
		return w
	}
	w := &crowd{key: string(key), namespace: pod.Namespace, deleting: pod.DeletionTimestamp != nil, labels: labels.Set{}, byNode: map[int32]int32{}}
	for _, k := range t.labelKeys {
		if v, ok := pod.Labels[k]; ok {
			w.labels[k] = v
		}
	}
	w.parseTerms(pod)
	w.spreads = len(pod.Spec.TopologySpreadConstraints) > 0
	w.constraints = parseConstraints(pod, pod.Spec.TopologySpreadConstraints)
	if ruled {
		t.begin()
		for _, terms := range [][]term{w.near, w.apart, w.prefers} {
			for i := range terms {
				t.learn(terms[i].pods.selector)
				_, some := terms[i].pods.among.Requirements()
				t.among = t.among || some && !terms[i].pods.among.Empty()
			}
		}
		for i := range w.constraints {
			t.learn(w.constraints[i].pods.selector)
		}
	}
	if t.stale {
		return nil
	}
	t.admit(w)
	return w
}

func (t *topology) begin() {
	if !t.on {
		t.on, t.stale = true, true
	}
}

// learn makes sure that crowds know the labels that a selector looks at.
func (t *topology) learn(s labels.Selector) {
	requirements, _ := s.Requirements()
	for i := range requirements {
		if k := requirements[i].Key(); !slices.Contains(t.labelKeys, k) {
			t.labelKeys = append(t.labelKeys, k)
			t.stale = true
		}
	}
}

// crowdKey writes everything that tells crowds apart.
func (t *topology) crowdKey(b []byte, pod *corev1.Pod) []byte {
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str(pod.Namespace)
	for i, k := range t.labelKeys {
		if v, ok := pod.Labels[k]; ok {
			b = binary.AppendUvarint(b, uint64(i+1))
			str(v)
		}
	}
	b = append(b, 0)
	if pod.DeletionTimestamp != nil {
		b = append(b, 1)
	}
	type encoder interface {
		Size() int
		MarshalTo([]byte) (int, error)
	}
	enc := func(kind byte, e encoder) {
		n := e.Size()
		b = binary.AppendUvarint(append(b, kind), uint64(n))
		b = slices.Grow(b, n)
		if n, err := e.MarshalTo(b[len(b) : len(b)+n]); err == nil {
			b = b[:len(b)+n]
		}
	}
	if a := pod.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			enc(2, a.PodAffinity)
		}
		if a.PodAntiAffinity != nil {
			enc(3, a.PodAntiAffinity)
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		enc(4, &pod.Spec.TopologySpreadConstraints[i])
	}
	// The pod's own values of these are in its selectors.
	for _, keys := range likeKeys(pod) {
		for _, k := range keys {
			str(pod.Labels[k])
		}
	}
	return b
}

func likeKeys(pod *corev1.Pod) (out [][]string) {
	if a := pod.Spec.Affinity; a != nil {
		each := func(t *corev1.PodAffinityTerm) {
			if len(t.MatchLabelKeys)+len(t.MismatchLabelKeys) > 0 {
				out = append(out, t.MatchLabelKeys, t.MismatchLabelKeys)
			}
		}
		both := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
			for i := range required {
				each(&required[i])
			}
			for i := range preferred {
				each(&preferred[i].PodAffinityTerm)
			}
		}
		if p := a.PodAffinity; p != nil {
			both(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if p := a.PodAntiAffinity; p != nil {
			both(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		if keys := pod.Spec.TopologySpreadConstraints[i].MatchLabelKeys; len(keys) > 0 {
			out = append(out, keys)
		}
	}
	return out
}

// admit takes a crowd in: from now on its pods are counted.
func (t *topology) admit(w *crowd) {
	t.crowds[w.key] = w
	for _, s := range t.counts {
		if s.rule.about(w.namespace, t.namespaces[w.namespace], w.labels, w.deleting) {
			w.feeds = append(w.feeds, s)
		}
	}
	for i := range w.apart {
		t.bring(w, repels, &w.apart[i])
	}
	for i := range w.near {
		t.bring(w, needs, &w.near[i])
	}
	for i := range w.prefers {
		t.bring(w, attract, &w.prefers[i])
	}
}

// dismiss drops a crowd that nobody needs any more.
func (t *topology) dismiss(w *crowd) {
	if w.pods > 0 || w.uses > 0 || t.crowds[w.key] != w {
		return
	}
	delete(t.crowds, w.key)
	for _, s := range w.brings {
		if s.uses--; s.uses == 0 {
			delete(t.brought, s.key)
			t.gone++
		}
	}
	if t.gone > 8 && t.gone > len(t.arrived)/2 {
		t.arrived = slices.DeleteFunc(t.arrived, func(s *source) bool { return s.uses == 0 })
		t.gone = 0
		t.epoch++
	}
}

// use keeps a crowd that has no pods yet.
func (w *crowd) use() {
	if w != nil {
		w.uses++
	}
}

func (t *topology) disuse(w *crowd) {
	if w != nil {
		w.uses--
		t.dismiss(w)
	}
}

// count adds a pod of a crowd to a node, or takes it away.
func (t *topology) count(w *crowd, n *node, by int32) {
	w.pods += int(by)
	if left := w.byNode[n.index] + by; left != 0 {
		w.byNode[n.index] = left
	} else {
		delete(w.byNode, n.index)
	}
	for _, s := range w.feeds {
		s.add(n.index, by)
	}
}

// setNode takes in a node's new version.
func (t *topology) setNode(n *node) {
	for _, z := range t.zonings {
		z.set(n)
	}
	for z := range t.special {
		z.set(n)
	}
}

// setNamespace takes in a namespace's labels.
func (t *topology) setNamespace(name string, of labels.Set) {
	if !labels.Equals(t.namespaces[name], of) {
		t.namespaces[name] = of
		t.stale = t.stale || t.among
	}
}

// settle builds the index anew if it is stale. Classes of before are of no use then.
func (t *topology) settle() {
	if !t.stale {
		return
	}
	c := t.cluster
	for t.stale {
		t.stale = false
		t.forget()
		for _, b := range c.pods {
			if w := t.crowdOf(b.pod); w != nil && !t.stale {
				b.crowd = w
				t.count(w, b.node, 1)
			}
		}
		for _, b := range c.nominated {
			if w := t.crowdOf(b.pod); !t.stale {
				b.crowd = w
				w.use()
			}
		}
	}
	clear(c.classes)
	t.generation++
}

func (t *topology) forget() {
	clear(t.crowds)
	clear(t.counts)
	clear(t.brought)
	clear(t.special)
	t.arrived, t.gone = nil, 0
	t.epoch++
	for _, z := range t.zonings {
		z.views = nil
	}
	t.owners.forget()
	for _, b := range t.cluster.pods {
		b.crowd = nil
	}
	for _, b := range t.cluster.nominated {
		b.crowd = nil
	}
}

// settledCrowd is crowdOf with an index that isn't stale.
func (t *topology) settledCrowd(pod *corev1.Pod) *crowd {
	for {
		t.settle()
		if w := t.crowdOf(pod); !t.stale {
			return w
		}
	}
}

// appendKey writes what tells the classes of two crowds apart; nil writes nothing.
func (w *crowd) appendKey(b []byte, spread string) []byte {
	if w == nil {
		return b
	}
	for _, s := range []string{"crowd", w.key, spread} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// rejoin takes in that a pod on a node has other labels, or is being deleted.
func (c *cluster) rejoin(b *bound) {
	w := c.topology.crowdOf(b.pod)
	if c.topology.stale || w == b.crowd {
		return
	}
	if b.crowd != nil {
		c.topology.count(b.crowd, b.node, -1)
		c.topology.dismiss(b.crowd)
	}
	if b.crowd = w; w != nil {
		c.topology.count(w, b.node, 1)
	}
	c.touch(b.node)
	c.helped = c.end()
}
