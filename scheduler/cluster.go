package scheduler

import (
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// cluster is the scheduler's own view of nodes and what is bound to them. It is
// changed by folded changes and by assumptions, and read by schedule.
type cluster struct {
	profiles      map[string]*plugins // by scheduler name
	usual         *plugins            // of the first profile
	images        map[string]*image   // by name
	looksAtImages bool
	resources     resourceNames
	nodes         []*node // by index; nil is free for reuse
	unused        []int32
	byName        map[string]*node
	ready         int // nodes with an object
	ranked        []int32
	unranked      bool // a node came or went since
	generation    uint64
	pods          map[types.UID]*bound
	classes       map[string]*class
	volumes       volumes
	devices       devices
	topology      topology
	budgets       budgets
	nominated     nominations
	preempted     int // nodes tried for it: where the next pod begins

	// changed lists the indexes of nodes that changed, oldest first; a class
	// remembers up to where it has looked. changed[0] is number forgotten.
	changed   []int32
	forgotten uint64
	helped    uint64 // the end after the last change that can have made room
}

// bound is a pod that takes resources of a node.
type bound struct {
	node   *node
	demand *demand
	crowd  *crowd // nil: no rule looks at it
	pod    *corev1.Pod
	at     int // in node.bound

	priority int32

	volumes   []attachable // that drivers attach for it
	exclusive []events.Key // its claims that no other pod may have
}

func newCluster(config *Config) *cluster {
	c := &cluster{
		profiles:  map[string]*plugins{},
		images:    map[string]*image{},
		resources: newResourceNames(),
		byName:    map[string]*node{},
		pods:      map[types.UID]*bound{},
		classes:   map[string]*class{},
		volumes:   newVolumes(),
		devices:   newDevices(),
		budgets:   budgets{},
		nominated: nominations{},
	}
	c.topology = newTopology(c)
	for i, p := range config.list() {
		c.profiles[p.name] = p.plugins.on(&c.resources)
		c.topology.owners.wanted = c.topology.owners.wanted || len(p.plugins.settings.spreads) > 0
		if i == 0 {
			c.usual = c.profiles[p.name]
		}
		c.looksAtImages = c.looksAtImages || p.plugins.weight(ImageLocality{}.Name()) > 0
	}
	return c
}

// newClusterOf is the view of a snapshot.
func newClusterOf(s *projections.Snapshot, config *Config) *cluster {
	c := newCluster(config)
	c.takeOwners(s)
	c.volumes.takeAll(s)
	c.takeDevices(s)
	c.takeDrivers(s)
	for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
		c.setNode(n.Name, n)
	}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", "") {
		c.setPod(pod)
	}
	return c
}

func (c *cluster) touch(n *node) { c.changed = append(c.changed, n.index) }

// end is the number that the next change will have.
func (c *cluster) end() uint64 { return c.forgotten + uint64(len(c.changed)) }

// trim bounds the list of changed nodes; a class that has looked too long ago
// looks at all nodes.
func (c *cluster) trim() {
	if limit := 2 * (len(c.nodes) + 1024); len(c.changed) > limit {
		drop := len(c.changed) - limit/2
		c.changed = append(c.changed[:0], c.changed[drop:]...)
		c.forgotten += uint64(drop)
	}
}

func (c *cluster) nodeNamed(name string) *node {
	n := c.byName[name]
	if n == nil {
		n = &node{name: name, attached: c.volumes.attached[name]}
		if last := len(c.unused) - 1; last >= 0 {
			n.index = c.unused[last]
			c.unused = c.unused[:last]
			c.nodes[n.index] = n
		} else {
			n.index = int32(len(c.nodes))
			c.nodes = append(c.nodes, n)
		}
		c.byName[name] = n
		c.unranked = true
	}
	return n
}

func (c *cluster) dropEmpty(n *node) {
	if n.object == nil && n.pods == 0 && len(n.nominated) == 0 {
		delete(c.byName, n.name)
		c.unranked = true
		c.nodes[n.index] = nil
		c.unused = append(c.unused, n.index)
	}
}

// setNode takes in a node's new version, nil when it is gone.
func (c *cluster) setNode(name string, object *corev1.Node) {
	if object == nil {
		if n := c.byName[name]; n != nil && n.object != nil {
			n.object, n.allocatable = nil, nil
			c.setImages(n, nil)
			c.ready--
			c.topology.setNode(n)
			c.touch(n)
			c.helped = c.end() // its pods keep nobody away any more
			c.dropEmpty(n)
		}
		return
	}
	n := c.nodeNamed(name)
	c.setImages(n, object.Status.Images)
	if sameForScheduling(n.object, object) {
		n.object = object
		return
	}
	if n.object == nil {
		c.ready++
	}
	c.generation++
	n.object, n.generation = object, c.generation
	n.allocatable = c.resources.vector(object.Status.Allocatable)
	c.topology.setNode(n)
	c.touch(n)
	c.helped = c.end()
}

// setPod takes in a pod's new version.
func (c *cluster) setPod(pod *corev1.Pod) {
	if pod.Spec.NodeName == "" {
		return // what is assumed stays until the loop forgets it
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		c.removePod(pod.UID)
		return
	}
	have := c.pods[pod.UID]
	if have != nil {
		have.pod = pod
	}
	if have != nil && have.node.name == pod.Spec.NodeName && pod.Generation <= 1 {
		c.rejoin(have)
		return // requests change only with the generation
	}
	demand := c.resources.demand(pod)
	c.removePod(pod.UID)
	c.bind(pod, c.nodeNamed(pod.Spec.NodeName), demand)
	c.volumes.use(pod)
}

// bind puts a pod on a node: as folded, or assumed.
func (c *cluster) bind(pod *corev1.Pod, n *node, d *demand) {
	b := &bound{node: n, demand: d, crowd: c.topology.crowdOf(pod), pod: pod, priority: priorityOf(pod)}
	if len(pod.Spec.Volumes) > 0 {
		b.volumes, b.exclusive = c.volumes.attachedOf(pod), c.volumes.exclusiveOf(pod)
	}
	c.pods[pod.UID] = b
	n.hold(b)
	c.tally(b, 1)
	c.touch(n)
}

// tally counts a bound pod in, or out with sign -1, of everything that filters and
// scores look at. A dry run of preemption takes pods off a node and puts them back with
// it, so whatever a filter knows of running pods is kept here.
func (c *cluster) tally(b *bound, sign int32) {
	b.node.add(b.demand, int64(sign))
	if b.crowd != nil {
		c.topology.count(b.crowd, b.node, sign)
	}
	if b.volumes != nil || b.exclusive != nil {
		c.countVolumes(b, int(sign))
	}
}

// removePod gives back what a pod takes, if it takes anything.
func (c *cluster) removePod(uid types.UID) {
	b := c.pods[uid]
	if b == nil {
		return
	}
	delete(c.pods, uid)
	c.volumes.unuse(uid)
	b.node.release(b)
	c.tally(b, -1)
	if b.crowd != nil {
		c.topology.dismiss(b.crowd)
	}
	c.touch(b.node)
	c.helped = c.end()
	c.dropEmpty(b.node)
}
