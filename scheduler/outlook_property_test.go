package scheduler

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/events"
)

// TestOutlookAgreesWithScans compares what the index of topology says of all nodes with the
// naive twin, while pods and nodes come, change and go.
func TestOutlookAgreesWithScans(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := &naive{nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}, namespaces: map[string]labels.Set{}, services: map[string]*corev1.Service{}, owners: map[string]labels.Set{}}
		g := &generator{r: r, world: w, kept: newCluster(nil)}
		for range rapid.IntRange(1, 5).Draw(r, "first nodes") {
			g.node()
		}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			g.step()
		}
		g.compare(g.pod())
	})
}

// generator plays random steps in both worlds.
type generator struct {
	r       *rapid.T
	world   *naive
	kept    *cluster
	made    int
	waiting []*corev1.Pod
}

func (g *generator) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(g.r, label)
}

func (g *generator) chance(label string, of int) bool {
	return rapid.IntRange(0, of-1).Draw(g.r, label) == 0
}

func (g *generator) step() {
	switch g.pick("step", "place", "place", "place", "place", "bind", "bind", "node", "relabel", "drop", "delete", "deleting", "label", "namespace", "service", "owner", "ask", "forget") {
	case "node":
		g.node()
	case "relabel":
		if name, ok := oneOf(g, g.world.nodes); ok {
			n := g.world.nodes[name].DeepCopy()
			g.labelNode(n)
			g.set(n)
		}
	case "drop":
		if name, ok := oneOf(g, g.world.nodes); ok {
			delete(g.world.nodes, name)
			g.kept.setNode(name, nil)
		}
	case "place": // as the loop does: assumed, then folded, or forgotten after a conflict
		pod := g.pod()
		if len(g.waiting) > 0 && g.chance("again", 2) {
			pod = rapid.SampledFrom(g.waiting).Draw(g.r, "waiting")
			if g.world.pods[string(pod.UID)] != nil {
				return
			}
		}
		g.compare(pod)
		cl := g.kept.classOf(pod)
		n := schedule(g.kept, cl)
		if n == nil {
			g.waiting = append(g.waiting, pod)
			return
		}
		g.kept.bind(pod, n, cl.demand)
		switch g.pick("outcome", "folded", "folded", "conflict", "elsewhere") {
		case "conflict":
			g.kept.removePod(pod.UID)
			g.waiting = append(g.waiting, pod)
		case "elsewhere":
			if name, ok := oneOf(g, g.world.nodes); ok {
				g.on(pod, name)
			}
		default:
			g.on(pod, n.name)
		}
	case "bind":
		if name, ok := oneOf(g, g.world.nodes); ok {
			g.on(g.pod(), name)
		}
	case "delete":
		if uid, ok := oneOf(g, g.world.pods); ok {
			delete(g.world.pods, uid)
			g.kept.removePod(types.UID(uid))
		}
	case "deleting", "label":
		if uid, ok := oneOf(g, g.world.pods); ok {
			pod := g.world.pods[uid].DeepCopy()
			if a := pod.Spec.Affinity; a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil) {
				return // its own rules keep the labels of its creation
			}
			if pod.DeletionTimestamp = nil; g.chance("deleting", 2) {
				pod.DeletionTimestamp = &metav1.Time{}
			}
			g.labelPod(pod)
			g.on(pod, pod.Spec.NodeName)
		}
	case "namespace":
		name, set := g.pick("namespace", "one", "two"), labels.Set{}
		if g.chance("team", 2) {
			set["team"] = g.pick("which team", "x", "y")
		}
		g.world.namespaces[name] = set
		g.fold("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set}})
	case "service":
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: g.pick("service", "s", "t")}}
		s.Spec.Selector = map[string]string{"app": g.pick("app", "a", "b")}
		g.world.services[s.Name] = s
		g.fold("services", s)
	case "owner":
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: "rs"}}
		set := map[string]string{"version": g.pick("version", "1", "2")}
		rs.Spec.Selector = &metav1.LabelSelector{MatchLabels: set}
		g.world.owners["rs"] = set
		g.fold("replicasets", rs)
	case "forget":
		if key, ok := oneOf(g, g.kept.classes); ok {
			g.kept.topology.leave(g.kept.classes[key])
			delete(g.kept.classes, key)
		}
	case "ask":
		g.compare(g.pod())
	}
}

func (g *generator) fold(resource string, o interface {
	metav1.Object
	runtime.Object
}) {
	g.kept.setOwner(keyOf(resource, o), &events.Object{Key: keyOf(resource, o), Value: o})
	g.kept.topology.settle()
}

func oneOf[T any](g *generator, m map[string]T) (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m))).Draw(g.r, "which"), true
}

func (g *generator) node() {
	g.made++
	n := parseNode(nil, fmt.Sprint("n", g.made), nil)
	g.labelNode(n)
	g.set(n)
}

func (g *generator) labelNode(n *corev1.Node) {
	n.Labels = map[string]string{}
	if !g.chance("no host", 6) {
		n.Labels[corev1.LabelHostname] = n.Name
	}
	if !g.chance("no zone", 4) {
		n.Labels[corev1.LabelTopologyZone] = g.pick("zone", "a", "b", "c")
	}
	if g.chance("rack", 2) {
		n.Labels["rack"] = g.pick("which rack", "1", "2")
	}
	n.Spec.Taints = nil
	if g.chance("taint", 5) {
		n.Spec.Taints = []corev1.Taint{{Key: "t", Effect: corev1.TaintEffectNoSchedule}}
	}
}

func (g *generator) set(n *corev1.Node) {
	g.world.nodes[n.Name] = n
	g.kept.setNode(n.Name, n)
}

func (g *generator) on(pod *corev1.Pod, node string) {
	pod = pod.DeepCopy()
	pod.Spec.NodeName = node
	g.world.pods[string(pod.UID)] = pod
	g.kept.setPod(pod)
}

func (g *generator) labelPod(pod *corev1.Pod) {
	pod.Labels = map[string]string{"app": g.pick("app", "a", "b"), "unique": pod.Name}
	if g.chance("versioned", 2) {
		pod.Labels["version"] = g.pick("version", "1", "2")
	}
}

func (g *generator) selector() *metav1.LabelSelector {
	switch g.pick("selector", "app", "app", "version", "in", "all", "none") {
	case "app":
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": g.pick("app", "a", "b")}}
	case "version":
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "version", Operator: metav1.LabelSelectorOpExists}}}
	case "in":
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{g.pick("app", "a", "b")}}}}
	case "all":
		return &metav1.LabelSelector{}
	}
	return nil
}

func (g *generator) key() string {
	return g.pick("key", corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyZone, "rack")
}

func (g *generator) terms(label string) (out []corev1.PodAffinityTerm) {
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(g.r, label) {
		t := corev1.PodAffinityTerm{TopologyKey: g.key(), LabelSelector: g.selector()}
		switch g.pick("namespaces", "own", "own", "named", "all", "team") {
		case "named":
			t.Namespaces = []string{g.pick("named", "one", "two")}
		case "all":
			t.NamespaceSelector = &metav1.LabelSelector{}
		case "team":
			t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}}
		}
		if t.LabelSelector != nil && t.LabelSelector.MatchLabels["app"] != "" && g.chance("keys", 3) {
			if g.chance("mismatch", 2) {
				t.MismatchLabelKeys = []string{"version"}
			} else {
				t.MatchLabelKeys = []string{"version"}
			}
		}
		out = append(out, t)
	}
	return out
}

func (g *generator) weighted(label string) (out []corev1.WeightedPodAffinityTerm) {
	for _, t := range g.terms(label) {
		out = append(out, corev1.WeightedPodAffinityTerm{Weight: int32(rapid.IntRange(1, 100).Draw(g.r, "weight")), PodAffinityTerm: t})
	}
	return out
}

func (g *generator) pod() *corev1.Pod {
	g.made++
	pod := parsePod(nil, fmt.Sprint("p", g.made), nil)
	pod.Namespace, pod.UID = g.pick("namespace", "one", "one", "two"), types.UID(pod.Name)
	g.labelPod(pod)
	if g.chance("tolerates", 3) {
		pod.Spec.Tolerations = []corev1.Toleration{{Key: "t", Operator: corev1.TolerationOpExists}}
	}
	if g.chance("selects", 4) {
		pod.Spec.NodeSelector = map[string]string{"rack": "1"}
	}
	if g.chance("owned", 3) {
		yes := true
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", Controller: &yes}}
	}
	switch g.pick("rules", "none", "affinity", "affinity", "spread", "both") {
	case "affinity":
		g.affinity(pod)
	case "spread":
		g.spread(pod)
	case "both":
		g.affinity(pod)
		g.spread(pod)
	}
	return pod
}

func (g *generator) affinity(pod *corev1.Pod) {
	pod.Spec.Affinity = &corev1.Affinity{
		PodAffinity:     &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: g.terms("near"), PreferredDuringSchedulingIgnoredDuringExecution: g.weighted("rather near")},
		PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: g.terms("apart"), PreferredDuringSchedulingIgnoredDuringExecution: g.weighted("rather apart")},
	}
}

func (g *generator) spread(pod *corev1.Pod) {
	for range rapid.IntRange(1, 2).Draw(g.r, "constraints") {
		t := corev1.TopologySpreadConstraint{TopologyKey: g.key(), MaxSkew: int32(rapid.IntRange(1, 3).Draw(g.r, "skew")), WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: g.selector()}
		if g.chance("soft", 2) {
			t.WhenUnsatisfiable = corev1.ScheduleAnyway
		} else if g.chance("domains", 3) {
			d := int32(rapid.IntRange(1, 4).Draw(g.r, "min domains"))
			t.MinDomains = &d
		}
		honor, ignore := corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore
		if g.chance("affinity policy", 3) {
			t.NodeAffinityPolicy = &ignore
		}
		if g.chance("taints policy", 3) {
			t.NodeTaintsPolicy = &honor
		}
		if t.LabelSelector != nil && t.LabelSelector.MatchLabels["app"] != "" && g.chance("keys", 3) {
			t.MatchLabelKeys = []string{"version"}
		}
		pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, t)
	}
}

// compare asks both worlds about a pod.
func (g *generator) compare(pod *corev1.Pod) {
	cl := g.kept.classOf(pod)
	chosen := schedule(g.kept, cl)
	var fitting []*corev1.Node
	for _, name := range slices.Sorted(maps.Keys(g.world.nodes)) {
		n, node := g.world.nodes[name], g.kept.byName[name]
		want, got := g.world.refuses(pod, n), ""
		if why := g.kept.reasons(cl, node); len(why) > 0 {
			got = why[0]
		}
		if want != got {
			g.r.Fatalf("%s on %s: %q, by a scan %q", pod.Name, name, got, want)
		}
		if fit := cl.total[node.index] != refusedScore; fit != (want == "") {
			g.r.Fatalf("%s on %s: surveyed as fitting: %v, by a scan %q", pod.Name, name, fit, want)
		}
		if by := cl.refuserOf(node.index); (by == fits) != (want == "") {
			g.r.Fatalf("%s on %s: refused by %d, by a scan %q", pod.Name, name, by, want)
		}
		if want == "" {
			fitting = append(fitting, n)
		}
	}
	if cl.feasible != len(fitting) || (chosen == nil) != (len(fitting) == 0) {
		g.r.Fatalf("%s: %d nodes feasible, by a scan %d; chosen %v", pod.Name, cl.feasible, len(fitting), chosen)
	}
	draws, emptiness := g.world.draws(pod, fitting), g.world.emptiness(pod, fitting)
	for _, n := range fitting {
		node := g.kept.byName[n.Name]
		if got := (InterPodAffinity{}).Score(g.kept, cl, node); got != draws[n.Name] {
			g.r.Fatalf("%s on %s: affinity scores %d, by a scan %d", pod.Name, n.Name, got, draws[n.Name])
		}
		if got := (PodTopologySpread{}).Score(g.kept, cl, node); math.Abs(float64(got)-emptiness[n.Name]) > 3 {
			g.r.Fatalf("%s on %s: spread scores %d, by a scan %f", pod.Name, n.Name, got, emptiness[n.Name])
		}
	}
}
