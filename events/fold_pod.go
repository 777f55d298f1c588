package events

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// boundNode gives the node that a pod is bound to, and whether the value is a pod.
func boundNode(value runtime.Object) (string, bool) {
	pod, ok := value.(*corev1.Pod)
	if !ok {
		return "", false
	}
	return pod.Spec.NodeName, true
}
