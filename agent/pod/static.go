package pod

import (
	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/static"
)

// isStatic reports whether a pod comes from a file of its node.
func isStatic(pod *v1.Pod) bool {
	source := pod.Annotations[static.AnnotationSource]
	return source != "" && source != "api"
}
