package scheduler

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// class is all pods with the same requirements, and what every node is to them.
type class struct {
	key             string
	plugins         *plugins // of the profile that its scheduler name names
	demand          *demand
	crowd           *crowd // nil: no rule looks at it
	constraints     []constraint
	allKeys         bool   // nodes need the keys of all constraints to be scored by them
	built           uint64 // generation of the index of topology
	outlook         *outlook
	nodeName        string
	priority        int32
	neverPreempts   bool
	last            refused // said of its pods
	tolerations     []corev1.Toleration
	toleratesCordon bool
	selects         bool // nodeSelector or required affinity
	required        nodeaffinity.RequiredNodeAffinity
	only            []string // the nodes named one by one; nil: any
	preferred       *nodeaffinity.PreferredSchedulingTerms
	preferredWeight int64
	claimed         *claimed  // nil: pods without claims
	wanted          *wanted   // nil: pods without resource claims
	checked         []request // of the demand: what a node must have left
	images          []string
	spread          uint64 // see imagesSpread

	// By node index, up to date until looked (see cluster.changed).
	verdicts []verdict
	scores   []int64 // of the verdicts, refused if there is none: what schedule runs over
	looked   uint64
	open     int     // nodes that fit as far as only the node is looked at
	total    []int64 // scores with what other pods make of them
	feasible int
	refused  [16]int            // nodes by the filter that refuses them
	samples  [16][sampled]int32 // see sample

	pods      int    // pending pods of this class: it isn't dropped while there are any
	used      uint64 // when a pod last asked for it, as looked
	refusedBy uint32 // the filters that refused nodes when a pod was parked, one bit each
}

// verdict is what a node is to a class.
type verdict struct {
	score      int64 // weighted sum, without the zone's part
	static     int64 // the part of the static scores
	generation uint64
	staticBy   int8
	by         int8 // index of the filter that refuses it, or fits or absent
}

const (
	fits   = -1
	absent = -2

	refusedScore = -1 // below every score
)

// maxIdleClasses bounds the classes kept without a pending pod.
const maxIdleClasses = 64

// classOf finds or makes the class of a pending pod.
func (c *cluster) classOf(pod *corev1.Pod) *class {
	d := c.resources.demand(pod)
	plugins := c.pluginsFor(pod)
	crowd := c.topology.settledCrowd(pod)
	constraints, spreadKey, allKeys := c.topology.constraintsOf(pod, crowd, plugins)
	var space [512]byte
	claimed := c.volumes.claimedBy(pod)
	wanted := c.devices.wantedBy(pod)
	key := wanted.appendKey(claimed.appendKey(crowd.appendKey(classKey(space[:0], pod, d), spreadKey)))
	cl := c.classes[string(key)]
	if cl == nil {
		c.dropIdleClasses()
		cl = &class{
			key: string(key), plugins: plugins, demand: d, nodeName: pod.Spec.NodeName,
			tolerations: pod.Spec.Tolerations, toleratesCordon: toleratesCordon(pod.Spec.Tolerations), claimed: claimed, wanted: wanted,
			priority: priorityOf(pod), neverPreempts: neverPreempts(pod),
		}
		cl.checked = cl.plugins.settings.checked(&c.resources, d.requests)
		cl.images = imagesOf(pod)
		cl.setAffinity(&pod.Spec)
		if cl.plugins.affinity() < 0 {
			cl.only = nil
		}
		cl.crowd, cl.constraints, cl.allKeys, cl.built = crowd, constraints, allKeys, c.topology.generation
		crowd.use()
		c.classes[cl.key] = cl
	}
	cl.used = c.end()
	return cl
}

// classKey writes everything that filters and scores look at of a pod.
func classKey(b []byte, pod *corev1.Pod, d *demand) []byte {
	str := func(parts ...string) {
		for _, s := range parts {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	num := func(n int64) { b = binary.AppendVarint(b, n) }
	str(pod.Spec.SchedulerName, pod.Spec.NodeName)
	num(int64(priorityOf(pod)))
	if neverPreempts(pod) {
		str("never preempts")
	}
	if g, ok := gangKeyOf(pod); ok {
		str("gang", g.namespace, g.name, strconv.FormatBool(g.group))
	}
	num(d.cpu)
	num(d.memory)
	num(int64(len(d.requests)))
	for _, r := range d.requests {
		num(int64(r.resource))
		num(r.amount)
	}
	num(int64(len(d.ports)))
	for _, p := range d.ports {
		str(p.ip, string(p.protocol))
		num(int64(p.port))
	}
	num(int64(len(pod.Spec.Tolerations)))
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		str(t.Key, string(t.Operator), t.Value, string(t.Effect))
	}
	num(int64(len(pod.Spec.NodeSelector)))
	if len(pod.Spec.NodeSelector) > 0 {
		for _, k := range slices.Sorted(maps.Keys(pod.Spec.NodeSelector)) {
			str(k, pod.Spec.NodeSelector[k])
		}
	}
	num(int64(len(pod.Spec.InitContainers)))
	for i := range pod.Spec.InitContainers {
		str(pod.Spec.InitContainers[i].Image)
	}
	for i := range pod.Spec.Containers {
		str(pod.Spec.Containers[i].Image)
	}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].Image; v != nil {
			str("image", v.Reference)
		}
	}
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		if enc, err := a.NodeAffinity.Marshal(); err == nil {
			str(string(enc))
		}
	}
	return b
}

// dropIdleClasses forgets the class used longest ago when too many have no pod.
func (c *cluster) dropIdleClasses() {
	if len(c.classes) < maxIdleClasses {
		return
	}
	var oldest *class
	idle := 0
	for _, cl := range c.classes {
		if cl.pods > 0 {
			continue
		}
		idle++
		if oldest == nil || cl.used < oldest.used || (cl.used == oldest.used && cl.key < oldest.key) {
			oldest = cl
		}
	}
	if idle >= maxIdleClasses {
		delete(c.classes, oldest.key)
		c.topology.leave(oldest)
	}
}

// look brings a class' verdicts up to date: only the nodes that changed since.
func (c *cluster) look(cl *class) {
	end := c.end()
	spread := c.imagesSpread(cl)
	stale := spread != cl.spread
	cl.spread = spread
	if cl.wanted != nil && cl.wanted.looked != c.devices.everywhere {
		cl.wanted.looked, stale = c.devices.everywhere, true
	}
	switch {
	case cl.looked == end && cl.verdicts != nil && !stale:
		c.survey(cl, false)
		return
	case cl.verdicts == nil || stale || cl.looked < c.forgotten:
		cl.grow(len(c.nodes))
		for i := range cl.verdicts {
			c.judge(cl, int32(i))
		}
	default:
		cl.grow(len(c.nodes))
		for _, i := range c.changed[cl.looked-c.forgotten:] {
			c.judge(cl, i)
		}
	}
	cl.looked = end
	c.survey(cl, true)
}

func (cl *class) grow(nodes int) {
	for len(cl.verdicts) < nodes {
		cl.verdicts = append(cl.verdicts, verdict{by: absent})
		cl.scores = append(cl.scores, refusedScore)
	}
}

// judge sets one node's verdict.
func (c *cluster) judge(cl *class, i int32) {
	v, n := &cl.verdicts[i], c.nodes[i]
	cl.count(v.by, -1)
	switch {
	case n == nil || n.object == nil:
		*v = verdict{by: absent}
	default:
		if v.by == absent || v.generation != n.generation {
			c.judgeObject(cl, v, n)
		}
		v.by = v.staticBy
		if v.by == fits {
			c.judgeLoad(cl, v, n)
		}
	}
	cl.count(v.by, 1)
	cl.scores[i] = refusedScore
	if v.by == fits {
		cl.scores[i] = v.score
	}
}

// judgeObject runs what looks only at the node's object.
func (c *cluster) judgeObject(cl *class, v *verdict, n *node) {
	*v = verdict{generation: n.generation, staticBy: fits}
	for f, filter := range cl.plugins.filters[:cl.plugins.static] {
		if filter.Refuses(cl, n) {
			v.staticBy = int8(f)
			return
		}
	}
	for _, s := range cl.plugins.scores[:cl.plugins.staticScores] {
		v.static += s.weight * s.Score(c, cl, n)
	}
}

// judgeLoad runs what looks at the pods on the node.
func (c *cluster) judgeLoad(cl *class, v *verdict, n *node) {
	if f, refused := c.refuser(cl, n, cl.plugins.static, cl.plugins.local); refused {
		v.by = int8(f)
		return
	}
	v.score = v.static
	for _, s := range cl.plugins.scores[cl.plugins.staticScores:cl.plugins.localScores] {
		v.score += s.weight * s.Score(c, cl, n)
	}
}

// refusers tells which filters refuse nodes, one bit each.
func (cl *class) refusers() uint32 {
	var bits uint32
	for f, n := range cl.refused {
		if n > 0 {
			bits |= 1 << f
		}
	}
	return bits
}

func (cl *class) count(by int8, n int) {
	switch {
	case by == fits:
		cl.open += n
	case by >= 0:
		cl.refused[by] += n
	}
}

// refuserOf is the index of the filter that refuses a node, or fits or absent. What a
// survey found counts until the next.
func (cl *class) refuserOf(i int32) int8 {
	by := cl.verdicts[i].by
	if o := cl.outlook; by == fits && o != nil && !o.idle() && int(i) < len(o.scores) && o.scores[i] == refusedScore {
		return o.by[i]
	}
	return by
}
