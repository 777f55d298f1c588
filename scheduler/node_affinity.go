package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// NodeAffinity refuses nodes that the pod's nodeSelector and required node
// affinity don't match, and prefers those that match its preferred terms: the
// share of their weights is the score.
type NodeAffinity struct{}

func (NodeAffinity) Name() string { return "NodeAffinity" }

func (NodeAffinity) Refuses(cl *class, n *node) bool {
	if a := cl.plugins.settings.added; a != nil && a.required != nil && !a.required.Match(n.object) {
		return true
	}
	if !cl.selects {
		return false
	}
	ok, err := cl.required.Match(n.object)
	return !ok || err != nil
}

func (NodeAffinity) Reasons(_ *cluster, cl *class, n *node) []string {
	if a := cl.plugins.settings.added; a != nil && a.required != nil && !a.required.Match(n.object) {
		return []string{"node(s) didn't match scheduler-enforced node affinity"}
	}
	return []string{"node(s) didn't match Pod's node affinity/selector"}
}

func (NodeAffinity) Score(_ *cluster, cl *class, n *node) int64 {
	var score, of int64
	if cl.preferred != nil {
		score, of = cl.preferred.Score(n.object), cl.preferredWeight
	}
	if a := cl.plugins.settings.added; a != nil && a.preferred != nil {
		score, of = score+a.preferred.Score(n.object), of+a.preferredWeight
	}
	if of == 0 {
		return 0
	}
	return score * best / of
}

// setAffinity parses what the pod says of nodes.
func (cl *class) setAffinity(spec *corev1.PodSpec) {
	cl.required = nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity)
	cl.selects = len(spec.NodeSelector) > 0
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return
	}
	affinity := spec.Affinity.NodeAffinity
	if r := affinity.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		cl.selects = true
		cl.only = namedNodes(r)
	}
	terms := affinity.PreferredDuringSchedulingIgnoredDuringExecution
	preferred, err := nodeaffinity.NewPreferredSchedulingTerms(terms)
	if err != nil {
		return // validation refuses such a pod; a preference can't hold it up
	}
	for _, t := range terms {
		cl.preferredWeight += int64(t.Weight)
	}
	if cl.preferredWeight > 0 {
		cl.preferred = preferred
	}
}

// namedNodes gives the nodes that an affinity names one by one, as a DaemonSet's
// pods do; nil if it may match others.
func namedNodes(s *corev1.NodeSelector) []string {
	var names []string
	for _, term := range s.NodeSelectorTerms {
		found := false
		for _, f := range term.MatchFields {
			if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn {
				names = append(names, f.Values...)
				found = true
				break
			}
		}
		if !found {
			return nil
		}
	}
	return names
}
