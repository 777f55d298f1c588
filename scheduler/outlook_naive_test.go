package scheduler

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/reckon-project/reckon/projections"
)

// naive is a cluster in which every question is answered by looking at everything.
type naive struct {
	nodes      map[string]*corev1.Node
	pods       map[string]*corev1.Pod // on nodes
	namespaces map[string]labels.Set
	services   map[string]*corev1.Service // of the namespace "one"
	owners     map[string]labels.Set      // replica sets of the namespace "one"
}

func must(s *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		panic(err)
	}
	return out
}

// matches reports that a term of one pod is about another.
func (w *naive) matches(t *corev1.PodAffinityTerm, of, other *corev1.Pod) bool {
	in := slices.Contains(t.Namespaces, other.Namespace) ||
		t.NamespaceSelector != nil && must(t.NamespaceSelector).Matches(w.namespaces[other.Namespace]) ||
		len(t.Namespaces) == 0 && t.NamespaceSelector == nil && other.Namespace == of.Namespace
	if !in || !must(t.LabelSelector).Matches(labels.Set(other.Labels)) {
		return false
	}
	for _, k := range t.MatchLabelKeys {
		if v, ok := of.Labels[k]; ok && other.Labels[k] != v {
			return false
		}
	}
	for _, k := range t.MismatchLabelKeys {
		if v, ok := of.Labels[k]; ok && other.Labels[k] == v {
			return false
		}
	}
	return true
}

func required(pod *corev1.Pod) (near, apart []corev1.PodAffinityTerm) {
	if a := pod.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			near = a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		if a.PodAntiAffinity != nil {
			apart = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
	}
	return near, apart
}

func preferred(pod *corev1.Pod) (out []corev1.WeightedPodAffinityTerm) {
	a := pod.Spec.Affinity
	if a == nil {
		return nil
	}
	if a.PodAffinity != nil {
		out = append(out, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if a.PodAntiAffinity != nil {
		for _, t := range a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			t.Weight = -t.Weight
			out = append(out, t)
		}
	}
	return out
}

// together reports that two nodes are in one domain.
func together(a, b *corev1.Node, key string) bool {
	x, ok := a.Labels[key]
	y, also := b.Labels[key]
	return ok && also && x == y
}

// refuses says why a pod can't be on a node, "" if it can.
func (w *naive) refuses(pod *corev1.Pod, n *corev1.Node) string {
	switch {
	case !tolerated(pod, n):
		return "node(s) had untolerated taint(s)"
	case !selectsNode(pod, n):
		return "node(s) didn't match Pod's node affinity/selector"
	}
	if why := w.skewed(pod, n); why != "" {
		return why
	}
	near, apart := required(pod)
	if !w.isNear(pod, n, near) {
		return "node(s) didn't match pod affinity rules"
	}
	return w.keptApart(pod, n, apart)
}

// keptApart says which anti-affinity keeps a pod from a node, "" if none does.
func (w *naive) keptApart(pod *corev1.Pod, n *corev1.Node, apart []corev1.PodAffinityTerm) string {
	for _, other := range w.pods {
		for i := range apart {
			if at := w.nodes[other.Spec.NodeName]; at != nil && w.matches(&apart[i], pod, other) && together(n, at, apart[i].TopologyKey) {
				return "node(s) didn't match pod anti-affinity rules"
			}
		}
	}
	for _, other := range w.pods {
		_, theirs := required(other)
		for i := range theirs {
			if at := w.nodes[other.Spec.NodeName]; at != nil && w.matches(&theirs[i], other, pod) && together(n, at, theirs[i].TopologyKey) {
				return "node(s) didn't satisfy existing pods anti-affinity rules"
			}
		}
	}
	return ""
}

func tolerated(pod *corev1.Pod, n *corev1.Node) bool {
	return len(n.Spec.Taints) == 0 || len(pod.Spec.Tolerations) > 0 // the test knows one taint
}

func selectsNode(pod *corev1.Pod, n *corev1.Node) bool {
	ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(n)
	return ok && err == nil
}

// isNear: pods that match all terms are in the node's domain of each term; or there are
// none at all, the pod matches them itself and the node has all labels.
func (w *naive) isNear(pod *corev1.Pod, n *corev1.Node, terms []corev1.PodAffinityTerm) bool {
	all := func(other *corev1.Pod) bool {
		for i := range terms {
			if !w.matches(&terms[i], pod, other) {
				return false
			}
		}
		return true
	}
	satisfied, anywhere := true, false
	for i := range terms {
		if _, ok := n.Labels[terms[i].TopologyKey]; !ok {
			return false
		}
		here := false
		for _, other := range w.pods {
			if at := w.nodes[other.Spec.NodeName]; at != nil && all(other) {
				_, counted := at.Labels[terms[i].TopologyKey]
				anywhere = anywhere || counted
				here = here || together(n, at, terms[i].TopologyKey)
			}
		}
		satisfied = satisfied && here
	}
	return satisfied || !anywhere && all(pod)
}

// spreads are the constraints of a pod, or the default ones; all tells whether nodes need all keys.
func (w *naive) spreads(pod *corev1.Pod, when corev1.UnsatisfiableConstraintAction) (out []corev1.TopologySpreadConstraint, all bool) {
	list := pod.Spec.TopologySpreadConstraints
	if all = len(list) > 0; !all {
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		if pod.Namespace == "one" {
			for _, s := range w.services {
				if labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) {
					for k, v := range s.Spec.Selector {
						selector.MatchLabels[k] = v
					}
				}
			}
			if o := metav1.GetControllerOf(pod); o != nil {
				for k, v := range w.owners[o.Name] {
					selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{Key: k, Operator: metav1.LabelSelectorOpIn, Values: []string{v}})
				}
			}
		}
		if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
			return nil, false
		}
		list = []corev1.TopologySpreadConstraint{
			{TopologyKey: corev1.LabelHostname, MaxSkew: 3, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: selector},
			{TopologyKey: corev1.LabelTopologyZone, MaxSkew: 5, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: selector},
		}
	}
	for _, t := range list {
		if t.WhenUnsatisfiable == when {
			out = append(out, t)
		}
	}
	return out, all
}

func (w *naive) selected(t *corev1.TopologySpreadConstraint, pod, other *corev1.Pod) bool {
	if other.Namespace != pod.Namespace || !must(t.LabelSelector).Matches(labels.Set(other.Labels)) {
		return false
	}
	for _, k := range t.MatchLabelKeys {
		if v, ok := pod.Labels[k]; ok && other.Labels[k] != v {
			return false
		}
	}
	return true
}

// counts reports whether a node counts for a constraint.
func counts(t *corev1.TopologySpreadConstraint, pod *corev1.Pod, n *corev1.Node) bool {
	if (t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor) && !selectsNode(pod, n) {
		return false
	}
	return t.NodeTaintsPolicy == nil || *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyIgnore || tolerated(pod, n)
}

func hasKeys(n *corev1.Node, list []corev1.TopologySpreadConstraint) bool {
	for _, t := range list {
		if _, ok := n.Labels[t.TopologyKey]; !ok {
			return false
		}
	}
	return true
}

// onNode counts the pods on a node that a constraint selects.
func (w *naive) onNode(t *corev1.TopologySpreadConstraint, pod *corev1.Pod, n *corev1.Node) (count int) {
	if must(t.LabelSelector).Empty() && len(t.MatchLabelKeys) == 0 {
		return 0
	}
	for _, other := range w.pods {
		if other.Spec.NodeName == n.Name && other.DeletionTimestamp == nil && w.selected(t, pod, other) {
			count++
		}
	}
	return count
}

func (w *naive) skewed(pod *corev1.Pod, n *corev1.Node) string {
	list, _ := w.spreads(pod, corev1.DoNotSchedule)
	for i := range list {
		t := &list[i]
		value, ok := n.Labels[t.TopologyKey]
		if !ok {
			return "node(s) didn't match pod topology spread constraints (missing required label)"
		}
		domains := map[string]int{}
		for _, at := range w.nodes {
			if hasKeys(at, list) && counts(t, pod, at) {
				domains[at.Labels[t.TopologyKey]] += w.onNode(t, pod, at)
			}
		}
		least := math.MaxInt32
		for _, pods := range domains {
			least = min(least, pods)
		}
		minDomains := 1
		if t.MinDomains != nil {
			minDomains = int(*t.MinDomains)
		}
		if len(domains) < minDomains {
			least = 0
		}
		self := 0
		if w.selected(t, pod, pod) {
			self = 1
		}
		if domains[value]+self-least > int(t.MaxSkew) {
			return "node(s) didn't match pod topology spread constraints"
		}
	}
	return ""
}

// draws gives the scores by affinity of the nodes that a pod fits.
func (w *naive) draws(pod *corev1.Pod, fitting []*corev1.Node) map[string]int64 {
	raw := map[string]int64{}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, n := range fitting {
		for _, other := range w.pods {
			at := w.nodes[other.Spec.NodeName]
			if at == nil {
				continue
			}
			for _, t := range preferred(pod) {
				if w.matches(&t.PodAffinityTerm, pod, other) && together(n, at, t.PodAffinityTerm.TopologyKey) {
					raw[n.Name] += int64(t.Weight)
				}
			}
			for _, t := range preferred(other) {
				if w.matches(&t.PodAffinityTerm, other, pod) && together(n, at, t.PodAffinityTerm.TopologyKey) {
					raw[n.Name] += int64(t.Weight)
				}
			}
			near, _ := required(other)
			for i := range near {
				if w.matches(&near[i], other, pod) && together(n, at, near[i].TopologyKey) {
					raw[n.Name]++
				}
			}
		}
		least, most = min(least, raw[n.Name]), max(most, raw[n.Name])
	}
	out := map[string]int64{}
	for _, n := range fitting {
		if most > least {
			out[n.Name] = best * (raw[n.Name] - least) / (most - least)
		}
	}
	return out
}

// emptiness gives the scores by topology spread of the nodes that a pod fits.
func (w *naive) emptiness(pod *corev1.Pod, fitting []*corev1.Node) map[string]float64 {
	list, all := w.spreads(pod, corev1.ScheduleAnyway)
	var scored []*corev1.Node
	for _, n := range fitting {
		if !all || hasKeys(n, list) {
			scored = append(scored, n)
		}
	}
	raw := map[string]float64{}
	for i := range list {
		t := &list[i]
		domains := map[string]int{}
		for _, n := range scored {
			domains[n.Labels[t.TopologyKey]] = 0
		}
		size := len(domains)
		if t.TopologyKey == corev1.LabelHostname {
			size = len(scored)
		}
		for _, at := range w.nodes {
			value := at.Labels[t.TopologyKey]
			if _, ok := domains[value]; ok && (!all || hasKeys(at, list)) && counts(t, pod, at) {
				domains[value] += w.onNode(t, pod, at)
			}
		}
		for _, n := range scored {
			value, ok := n.Labels[t.TopologyKey]
			if !ok {
				continue
			}
			pods := domains[value]
			if t.TopologyKey == corev1.LabelHostname {
				pods = w.onNode(t, pod, n)
			}
			raw[n.Name] += float64(pods)*math.Log(float64(size+2)) + float64(t.MaxSkew-1)
		}
	}
	least, most := math.MaxFloat64, 0.0
	for _, n := range scored {
		least, most = min(least, raw[n.Name]), max(most, raw[n.Name])
	}
	out := map[string]float64{}
	for _, n := range scored {
		switch {
		case len(list) == 0:
		case most == 0:
			out[n.Name] = best
		default:
			out[n.Name] = best * (most + least - raw[n.Name]) / most
		}
	}
	return out
}

// naiveOf is the twin of a snapshot without one pod.
func naiveOf(s *projections.Snapshot, but *corev1.Pod) *naive {
	w := &naive{nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}}
	for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
		w.nodes[n.Name] = n
	}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if pod.Spec.NodeName != "" && pod.UID != but.UID && pod.Status.Phase != corev1.PodSucceeded {
			w.pods[string(pod.UID)] = pod
		}
	}
	return w
}
