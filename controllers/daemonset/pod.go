package daemonset

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

const (
	nameField       = metav1.ObjectNameField
	generationLabel = "pod-template-generation"
)

// newPod is a pod of the present template for a node.
func (v *view) newPod(p placement) *corev1.Pod {
	t := &v.set.Spec.Template
	marked := maps.Clone(t.Labels)
	if marked == nil {
		marked = map[string]string{}
	}
	marked[appsv1.DefaultDaemonSetUniqueLabelKey] = v.hash
	if _, err := strconv.ParseInt(v.generation, 10, 64); err == nil {
		marked[generationLabel] = v.generation
	}
	annotations := t.Annotations
	if p.failures > 0 {
		annotations = maps.Clone(annotations)
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[failedBefore] = strconv.Itoa(p.failures)
	}
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v.set.Namespace, GenerateName: v.set.Name + "-",
			Labels: marked, Annotations: annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{controllers.DaemonSet.Ref(v.set)},
		},
		Spec: t.Spec,
	}
	pod.Spec.Tolerations = v.tolerations
	pod.Spec.Affinity = only(t.Spec.Affinity, p.node)
	return pod
}

// only is an affinity that requires this node and nothing else; what it prefers
// stays. The template's own requirements hold for the node already.
func only(a *corev1.Affinity, node string) *corev1.Affinity {
	var out corev1.Affinity
	if a != nil {
		out = *a
	}
	var to corev1.NodeAffinity
	if out.NodeAffinity != nil {
		to = *out.NodeAffinity
	}
	to.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{Key: nameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
	}}}
	out.NodeAffinity = &to
	return &out
}
