package pod

import v1 "k8s.io/api/core/v1"

// The annotations by which Kubernetes tells where a pod comes from.
const (
	AnnotationSource = "kubernetes.io/config.source"
	AnnotationMirror = "kubernetes.io/config.mirror"
	AnnotationHash   = "kubernetes.io/config.hash"
)

// isStatic reports whether a pod comes from a file of its node.
func isStatic(pod *v1.Pod) bool {
	source := pod.Annotations[AnnotationSource]
	return source != "" && source != "api"
}
