package nodefeed

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// everyone is the node token of what all nodes get.
const everyone = "_"

// tables is what has been published, and why.
type tables struct {
	out   *writer
	pods  map[events.Key]*bound
	nodes map[string]*node
	users map[events.Key]map[string]int // by object: how many pods of each node use it
	waits map[events.Key]struct{}       // pods with a report that can wait

	volumes volumes
	storage storage

	unsure map[string]bus.FeedItem // by subject: messages of earlier leaders to be looked at again
}

// bound is a pod on the feed.
type bound struct {
	node, uid string
	refs      map[events.Key]struct{}
	decided   decision // the newest that was seen here
}

// decision is an event about a pod, and its trace.
type decision struct {
	sequence    uint64 // 0: none
	traceparent string
}

// node is one node's feed.
type node struct {
	pods    map[string]struct{}   // uids
	values  map[events.Key]uint64 // by object: the version published
	changed bool                  // since its manifest
}

func newTables(out *writer) *tables {
	return &tables{out: out, pods: map[events.Key]*bound{}, nodes: map[string]*node{}, users: map[events.Key]map[string]int{}, waits: map[events.Key]struct{}{}, volumes: newVolumes(), storage: newStorage(), unsure: map[string]bus.FeedItem{}}
}

func (t *tables) node(name string) *node {
	n := t.nodes[name]
	if n == nil {
		n = &node{pods: map[string]struct{}{}, values: map[events.Key]uint64{}, changed: true}
		t.nodes[name] = n
	}
	return n
}

// shared reports a resource that all nodes get.
func shared(k events.Key) bool {
	switch k.Group + "/" + k.Resource {
	case "/services", "discovery.k8s.io/endpointslices", "/nodes", "storage.k8s.io/csidrivers", "certificates.k8s.io/clustertrustbundles":
		return true
	}
	return false
}

// all publishes what differs from what was published.
func (t *tables) all(s *projections.Snapshot) {
	t.node(everyone)
	for key := range t.pods {
		t.pod(s, key, decision{})
	}
	for o := range s.List("", "pods", "") {
		t.pod(s, o.Key, decision{})
	}
	t.allVolumes(s)
	t.allStorage(s)
	for key := range t.users {
		t.used(s, key)
	}
	for key := range maps.Clone(t.nodes[everyone].values) {
		t.put(s, everyone, key)
	}
	for _, kind := range []controllers.Kind{controllers.Service, controllers.EndpointSlice, controllers.Node, csiDriver, trustBundle} {
		for o := range s.List(kind.Group, kind.Resource, "") {
			t.put(s, everyone, o.Key)
			if kind == controllers.Node {
				t.node(o.Key.Name)
			}
		}
	}
}

// changed publishes what a slice of changes touches, each object once and as
// it is at s.
func (t *tables) changed(s *projections.Snapshot, changes []projections.Change) {
	seen := map[events.Key]struct{}{}
	decided := map[events.Key]decision{}
	for _, c := range changes {
		if c.Void == nil && c.Event.Prefix == events.PrefixDecision && c.Event.Key.Resource == "pods" {
			decided[c.Event.Key] = decision{c.Event.Sequence, c.Event.Traceparent}
		}
	}
	for _, c := range changes {
		if c.Void != nil || c.Event.Type == events.Elected {
			continue
		}
		key := c.Event.Key
		if _, ok := seen[key]; ok {
			continue
		}
		if key.Group == "" && key.Resource == "pods" {
			if c.Event.Prefix == events.PrefixFact && !ended(c) {
				t.waits[key] = struct{}{}
				continue
			}
			seen[key] = struct{}{}
			t.pod(s, key, decided[key])
			continue
		}
		seen[key] = struct{}{}
		if isClaim(key) {
			t.claimChanged(s, key)
		} else if isVolume(key) {
			t.volumeChanged(s, key)
			t.secretsChanged(s, key)
		} else if isAttachment(key) {
			t.attachmentChanged(s, key)
		}
		if shared(key) {
			t.put(s, everyone, key)
			if key.Resource == "nodes" && c.Old == nil {
				t.newNode(s, key.Name)
			}
		}
		t.used(s, key)
	}
}

// newNode lets a node know at once that it is to run nothing.
func (t *tables) newNode(s *projections.Snapshot, name string) {
	n := t.node(name)
	n.changed = true
	t.manifest(s, name, n)
}

// ended reports that a pod's containers were just reported to be finished.
func ended(c projections.Change) bool {
	if c.Old == nil || c.New == nil {
		return true
	}
	o, ok1 := c.Old.Value.(*corev1.Pod)
	n, ok2 := c.New.Value.(*corev1.Pod)
	return ok1 && ok2 && o.Status.Phase != n.Status.Phase && (n.Status.Phase == corev1.PodSucceeded || n.Status.Phase == corev1.PodFailed)
}

// late publishes the reports that could wait.
func (t *tables) late(s *projections.Snapshot) {
	for key := range t.waits {
		t.pod(s, key, decision{})
	}
	clear(t.waits)
}

// pod publishes a pod, and what it uses, to its node. decided is the newest
// decision about it that is known of; s may know of a newer one.
func (t *tables) pod(s *projections.Snapshot, key events.Key, decided decision) {
	was := t.pods[key]
	pod, ok := projections.Get[*corev1.Pod](s, key)
	if was != nil && (!ok || was.uid != string(pod.UID) || was.node != pod.Spec.NodeName) {
		t.unbind(s, key, was)
		was = nil
	}
	if !ok || pod.Spec.NodeName == "" {
		return
	}
	refs := refsOf(pod)
	n := t.node(pod.Spec.NodeName)
	if was != nil && decided.sequence != 0 {
		was.decided = decided
	}
	if was == nil {
		was = &bound{node: pod.Spec.NodeName, uid: string(pod.UID), decided: decided}
		t.pods[key] = was
		n.pods[was.uid] = struct{}{}
		n.changed = true
	}
	for ref := range refs {
		if _, had := was.refs[ref]; !had {
			t.use(s, ref, was.node)
		}
	}
	for ref := range was.refs {
		if _, has := refs[ref]; !has {
			t.unuse(s, ref, was.node)
		}
	}
	was.refs = refs
	t.put(s, was.node, key) // last: what it uses is there
}

func (t *tables) unbind(s *projections.Snapshot, key events.Key, was *bound) {
	delete(t.pods, key)
	n := t.node(was.node)
	delete(n.pods, was.uid)
	t.bury(s, was.node, key)
	for ref := range was.refs {
		t.unuse(s, ref, was.node)
	}
}

func (t *tables) use(s *projections.Snapshot, ref events.Key, on string) {
	nodes := t.users[ref]
	if nodes == nil {
		nodes = map[string]int{}
		t.users[ref] = nodes
	}
	if nodes[on]++; nodes[on] == 1 {
		t.put(s, on, ref)
		if isClaim(ref) {
			t.claimUsed(s, ref, on)
		} else if isVolume(ref) {
			t.volumeUsed(s, ref, on)
		}
	}
}

func (t *tables) unuse(s *projections.Snapshot, ref events.Key, on string) {
	nodes := t.users[ref]
	if nodes[on]--; nodes[on] > 0 {
		return
	}
	delete(nodes, on)
	if len(nodes) == 0 {
		delete(t.users, ref)
	}
	t.bury(s, on, ref)
	if isClaim(ref) {
		t.claimUnused(s, ref, on)
	} else if isVolume(ref) {
		t.volumeUnused(s, ref, on)
	}
}

// used publishes a changed object to the nodes that use it.
func (t *tables) used(s *projections.Snapshot, key events.Key) {
	for on := range t.users[key] {
		t.put(s, on, key)
	}
}

// put publishes an object to a node unless that version is there.
func (t *tables) put(s *projections.Snapshot, on string, key events.Key) {
	o := s.Get(key)
	if !o.Exists() {
		t.bury(s, on, key)
		return
	}
	n := t.node(on)
	if v, ok := n.values[key]; ok && v == o.Version {
		return
	}
	if _, ok := n.values[key]; !ok {
		n.changed = true
	}
	n.values[key] = o.Version
	t.send(on, key, o, s.Position())
}

// send hands a value to the writer.
func (t *tables) send(on string, key events.Key, o *events.Object, position uint64) {
	traceparent := ""
	if b := t.pods[key]; b != nil && o != nil && b.decided.sequence == o.Decision {
		traceparent = b.decided.traceparent
	}
	t.out.put(on, key, o, position, traceparent)
}

// bury publishes a tombstone for what a node has.
func (t *tables) bury(s *projections.Snapshot, on string, key events.Key) {
	n := t.node(on)
	if _, ok := n.values[key]; !ok {
		return
	}
	delete(n.values, key)
	n.changed = true
	t.out.put(on, key, nil, s.Position(), "")
}

// manifests puts the manifests of the nodes whose feed changed since theirs.
func (t *tables) manifests(s *projections.Snapshot) {
	for name, n := range t.nodes {
		if n.changed {
			t.manifest(s, name, n)
		}
	}
}

func (t *tables) manifest(s *projections.Snapshot, name string, n *node) {
	n.changed = false
	m := manifest{Position: s.Position(), Pods: slices.Sorted(maps.Keys(n.pods))}
	for key := range n.values {
		m.Keys = append(m.Keys, key.Resource+"/"+orNone(key.Namespace)+"/"+key.Name)
	}
	slices.Sort(m.Keys)
	t.out.manifest(name, m)
}
