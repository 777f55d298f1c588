package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// nominations are the pods that wait for room which was made for them on a node
// (status.nominatedNodeName). For classes of the same or a lower priority they
// take that room already.
type nominations map[types.UID]*bound

// nominate keeps room on a node for a pod; it has at most one such node.
func (c *cluster) nominate(pod *corev1.Pod, n *node) {
	if have := c.nominated[pod.UID]; have != nil && have.node == n {
		have.pod = pod
		return
	}
	c.unnominate(pod.UID)
	b := &bound{node: n, demand: c.resources.demand(pod), crowd: c.topology.crowdOf(pod), pod: pod, priority: priorityOf(pod)}
	c.nominated[pod.UID] = b
	b.crowd.use()
	n.nominated = append(n.nominated, b)
	c.touch(n)
}

// nominateSaid takes in what a pending pod's status says, if that node is there.
func (c *cluster) nominateSaid(pod *corev1.Pod) {
	if name := pod.Status.NominatedNodeName; name != "" {
		if n := c.byName[name]; n != nil && n.object != nil {
			c.nominate(pod, n)
		}
	}
}

// nodeGone has the pods that a node was kept for look again when it is gone.
func (l *loop) nodeGone(name string) {
	n := l.cluster.byName[name]
	if n == nil || n.object != nil {
		return
	}
	for _, b := range slices.Clone(n.nominated) {
		l.renominate(b.pod)
	}
}

// unnominate gives the room back.
func (c *cluster) unnominate(uid types.UID) {
	b := c.nominated[uid]
	if b == nil {
		return
	}
	delete(c.nominated, uid)
	c.topology.disuse(b.crowd)
	b.node.nominated = slices.DeleteFunc(b.node.nominated, func(o *bound) bool { return o == b })
	c.touch(b.node)
	c.helped = c.end()
	c.dropEmpty(b.node)
}

// nominatedNode gives the node that is kept for a pod, nil if there is none or it won't do
// now. The pod's own room doesn't count against it, and afterwards is kept still.
func (c *cluster) nominatedNode(uid types.UID, cl *class) *node {
	b := c.nominated[uid]
	if b == nil || b.node.object == nil || cl.only != nil && !slices.Contains(cl.only, b.node.name) {
		return nil
	}
	defer b.node.without(b)()
	if _, refused := c.refuser(cl, b.node, 0, len(cl.plugins.filters)); refused {
		return nil
	}
	return b.node
}

// takeNominated gives the node that is kept for a pod, if it will do now; the pod
// takes it, so it is kept no more.
func (c *cluster) takeNominated(uid types.UID, cl *class) *node {
	n := c.nominatedNode(uid, cl)
	if n != nil {
		c.unnominate(uid)
		c.open(cl) // to say why
	}
	return n
}

// nominatedName is that of the node kept for a pod, "" if there is none.
func (c *cluster) nominatedName(uid types.UID) string {
	if b := c.nominated[uid]; b != nil {
		return b.node.name
	}
	return ""
}

// without takes one nomination off a node until what it gives is called.
func (n *node) without(b *bound) (restore func()) {
	all := n.nominated
	n.nominated = slices.DeleteFunc(slices.Clone(all), func(o *bound) bool { return o == b })
	return func() { n.nominated = all }
}

// countNominated counts those that a class of pods gives way to in, or out with
// sign -1, and reports whether there are any.
func (c *cluster) countNominated(cl *class, n *node, sign int32) bool {
	found := false
	for _, b := range n.nominated {
		if b.priority >= cl.priority {
			c.tally(b, sign)
			found = true
		}
	}
	return found
}

// refuser gives the index of the first filter that refuses a node, with and without the
// pods nominated to it: a node must do whether they come or not. Only the filters
// with the indexes from up to to are asked.
func (c *cluster) refuser(cl *class, n *node, from, to int) (filter int, refused bool) {
	if to > cl.plugins.local {
		c.outlookOf(cl)
	}
	if len(n.nominated) > 0 && c.countNominated(cl, n, 1) {
		filter, refused = cl.refuser(n, from, to)
		c.countNominated(cl, n, -1)
		if refused {
			return filter, true
		}
	}
	return cl.refuser(n, from, to)
}

// reasons says why the first filter that refuses a node does so; nil if none does.
func (c *cluster) reasons(cl *class, n *node) (out []string) {
	c.outlookOf(cl)
	if len(n.nominated) > 0 && c.countNominated(cl, n, 1) {
		if f, refused := cl.refuser(n, 0, len(cl.plugins.filters)); refused {
			out = cl.plugins.filters[f].Reasons(c, cl, n)
		}
		c.countNominated(cl, n, -1)
		if out != nil {
			return out
		}
	}
	if f, refused := cl.refuser(n, 0, len(cl.plugins.filters)); refused {
		return cl.plugins.filters[f].Reasons(c, cl, n)
	}
	return nil
}

// refuser is that among the filters with the indexes from up to to.
func (cl *class) refuser(n *node, from, to int) (filter int, refused bool) {
	for f, each := range cl.plugins.filters[from:to] {
		if each.Refuses(cl, n) {
			return from + f, true
		}
	}
	return 0, false
}
