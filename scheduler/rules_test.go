package scheduler

import (
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parseRule reads a word about other pods:
//
//	label=foo:bar            a label of its own
//	near=app:web@zone        required affinity; apart: anti-affinity
//	likes=50*app:web@host    preferred, by weight; avoids: likewise
//	spread=1*app:web@zone    maxSkew 1; rather-spread: whenUnsatisfiable ScheduleAnyway
//	domains=3                minDomains of the last constraint
//	by=version               matchLabelKeys of the last affinity, or else of the last constraint
func parseRule(t testing.TB, p *corev1.Pod, k, v string) bool {
	number, rest, ok := strings.Cut(v, "*")
	if !ok {
		number, rest = "0", v
	}
	n, err := strconv.ParseInt(number, 10, 32)
	selected, topology, _ := strings.Cut(rest, "@")
	key, value, _ := strings.Cut(selected, ":")
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	switch topology {
	case "zone":
		topology = corev1.LabelTopologyZone
	case "host":
		topology = corev1.LabelHostname
	}
	term := corev1.PodAffinityTerm{LabelSelector: selector, TopologyKey: topology}
	weighted := corev1.WeightedPodAffinityTerm{Weight: int32(n), PodAffinityTerm: term}
	affinity := func() *corev1.Affinity {
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		if p.Spec.Affinity.PodAffinity == nil {
			p.Spec.Affinity.PodAffinity, p.Spec.Affinity.PodAntiAffinity = &corev1.PodAffinity{}, &corev1.PodAntiAffinity{}
		}
		return p.Spec.Affinity
	}
	list := &p.Spec.TopologySpreadConstraints
	switch k {
	case "label":
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[key] = value
	case "near":
		to := &affinity().PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*to = append(*to, term)
	case "apart":
		to := &affinity().PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*to = append(*to, term)
	case "likes":
		to := &affinity().PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		*to = append(*to, weighted)
	case "avoids":
		to := &affinity().PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		*to = append(*to, weighted)
	case "spread", "rather-spread":
		c := corev1.TopologySpreadConstraint{MaxSkew: int32(n), TopologyKey: topology, LabelSelector: selector, WhenUnsatisfiable: corev1.DoNotSchedule}
		if k == "rather-spread" {
			c.WhenUnsatisfiable = corev1.ScheduleAnyway
		}
		*list = append(*list, c)
	case "domains":
		d, wrong := strconv.ParseInt(v, 10, 32)
		n32 := int32(d)
		(*list)[len(*list)-1].MinDomains, err = &n32, wrong
	case "by":
		if len(*list) > 0 {
			(*list)[len(*list)-1].MatchLabelKeys = []string{v}
		} else if terms := affinity().PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution; len(terms) > 0 {
			terms[len(terms)-1].MatchLabelKeys = []string{v}
		} else {
			terms := affinity().PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			terms[len(terms)-1].MatchLabelKeys = []string{v}
		}
	default:
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// replicaSet owns pods that say owner=name and have the label app: name.
func replicaSet(name string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}
}
