package nodelifecycle

import corev1 "k8s.io/api/core/v1"

// formerLabels are labels that have another name by now; both say the same.
var formerLabels = map[string]string{
	corev1.LabelOSStable:   "beta.kubernetes.io/os",
	corev1.LabelArchStable: "beta.kubernetes.io/arch",
}

// formerLabelsOf are the former labels that a node lacks.
func formerLabelsOf(node *corev1.Node) map[string]string {
	var lacks map[string]string
	for name, former := range formerLabels {
		if value, ok := node.Labels[name]; ok && node.Labels[former] != value {
			if lacks == nil {
				lacks = map[string]string{}
			}
			lacks[former] = value
		}
	}
	return lacks
}
