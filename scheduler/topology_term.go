package scheduler

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// term is one term of a pod's affinity or anti-affinity to others.
type term struct {
	topologyKey string
	weight      int64 // of a preferred one; negative to stay away
	pods        podSet
}

// podSet says which pods something is about.
type podSet struct {
	key        string   // equal sets have equal keys
	namespaces []string // sorted
	among      labels.Selector
	selector   labels.Selector
}

func (s *podSet) has(namespace string, of, pod labels.Set) bool {
	if !slices.Contains(s.namespaces, namespace) && !s.among.Matches(of) {
		return false
	}
	return s.selector.Matches(pod)
}

// rule is about the pods that are in all its sets.
type rule struct {
	sets     []podSet
	stayOnly bool // pods that are being deleted don't count
	nobody   bool
}

func (r *rule) key() string {
	keys := make([]string, 0, len(r.sets)+2)
	for _, s := range r.sets {
		keys = append(keys, s.key)
	}
	slices.Sort(keys)
	return strings.Join(append(keys, strconv.FormatBool(r.stayOnly), strconv.FormatBool(r.nobody)), "\x01")
}

func (r *rule) about(namespace string, of, pod labels.Set, deleting bool) bool {
	if r.nobody || r.stayOnly && deleting {
		return false
	}
	for i := range r.sets {
		if !r.sets[i].has(namespace, of, pod) {
			return false
		}
	}
	return true
}

// parseTerm compiles a term of a pod. One that can't be is an error; validation
// lets none through.
func parseTerm(pod *corev1.Pod, t *corev1.PodAffinityTerm, weight int32) (term, error) {
	selector, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
	if err != nil {
		return term{}, err
	}
	among, err := metav1.LabelSelectorAsSelector(t.NamespaceSelector)
	if err != nil {
		return term{}, err
	}
	selector = likePod(selector, pod, t.MatchLabelKeys, selection.In)
	selector = likePod(selector, pod, t.MismatchLabelKeys, selection.NotIn)
	namespaces := slices.Sorted(slices.Values(t.Namespaces))
	if len(namespaces) == 0 && t.NamespaceSelector == nil {
		namespaces = []string{pod.Namespace}
	}
	return term{t.TopologyKey, int64(weight), newPodSet(namespaces, among, selector)}, nil
}

func newPodSet(namespaces []string, among, selector labels.Selector) podSet {
	key := strings.Join([]string{strings.Join(namespaces, ","), selectorKey(among), selectorKey(selector)}, "\x00")
	return podSet{key, namespaces, among, selector}
}

// selectorKey is different for the selector of all and that of nothing.
func selectorKey(s labels.Selector) string {
	if _, some := s.Requirements(); !some {
		return "-"
	}
	return "=" + s.String()
}

// likePod narrows a selector by the pod's own values of labels. The API does so when
// the pod is created: what it wrote stays.
func likePod(s labels.Selector, pod *corev1.Pod, keys []string, op selection.Operator) labels.Selector {
	if len(keys) == 0 {
		return s
	}
	have, some := s.Requirements()
	if !some {
		return s
	}
	for _, k := range keys {
		value, ok := pod.Labels[k]
		if !ok || slices.ContainsFunc(have, func(r labels.Requirement) bool { return r.Key() == k }) {
			continue
		}
		if r, err := labels.NewRequirement(k, op, []string{value}); err == nil {
			s = s.Add(*r)
		}
	}
	return s
}

// parseTerms compiles all terms of a pod.
func (w *crowd) parseTerms(pod *corev1.Pod) {
	a := pod.Spec.Affinity
	if a == nil {
		return
	}
	add := func(to *[]term, t *corev1.PodAffinityTerm, weight int32) {
		if parsed, err := parseTerm(pod, t, weight); err == nil {
			*to = append(*to, parsed)
		}
	}
	if p := a.PodAffinity; p != nil {
		for i := range p.RequiredDuringSchedulingIgnoredDuringExecution {
			add(&w.near, &p.RequiredDuringSchedulingIgnoredDuringExecution[i], 0)
		}
		for i := range p.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &p.PreferredDuringSchedulingIgnoredDuringExecution[i]
			add(&w.prefers, &t.PodAffinityTerm, t.Weight)
		}
	}
	if p := a.PodAntiAffinity; p != nil {
		for i := range p.RequiredDuringSchedulingIgnoredDuringExecution {
			add(&w.apart, &p.RequiredDuringSchedulingIgnoredDuringExecution[i], 0)
		}
		for i := range p.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &p.PreferredDuringSchedulingIgnoredDuringExecution[i]
			add(&w.prefers, &t.PodAffinityTerm, -t.Weight)
		}
	}
}

// constraint is a topology spread constraint.
type constraint struct {
	topologyKey string
	maxSkew     int64
	minDomains  int
	hard        bool
	selected    bool // nodes that the pod can't be on by its affinity don't count
	untainted   bool // nor those with taints it doesn't tolerate
	pods        podSet
}

// parseConstraints compiles a pod's constraints.
func parseConstraints(pod *corev1.Pod, list []corev1.TopologySpreadConstraint) (out []constraint) {
	for i := range list {
		t := &list[i]
		selector, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		if err != nil {
			continue
		}
		c := constraint{
			topologyKey: t.TopologyKey, maxSkew: int64(t.MaxSkew), minDomains: 1,
			hard:      t.WhenUnsatisfiable == corev1.DoNotSchedule,
			selected:  t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			untainted: t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
			pods:      newPodSet([]string{pod.Namespace}, labels.Nothing(), likePod(selector, pod, t.MatchLabelKeys, selection.In)),
		}
		if t.MinDomains != nil {
			c.minDomains = int(*t.MinDomains)
		}
		out = append(out, c)
	}
	return out
}

// counted is the rule by which a constraint counts pods: a selector of everything
// counts none.
func (c *constraint) counted() rule {
	return rule{sets: []podSet{c.pods}, stayOnly: true, nobody: c.pods.selector.Empty()}
}
