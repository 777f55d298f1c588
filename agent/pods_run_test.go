package agent

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/static"
)

// Whoever may make a pod can't have it taken for one of the node's own files.
func TestAPodOfTheClusterIsNotStatic(t *testing.T) {
	p := &v1.Pod{}
	if ofCluster(p) != p {
		t.Error("a pod that claims nothing is copied")
	}
	p.Annotations = map[string]string{static.AnnotationSource: "file", "other": "stays"}
	got := ofCluster(p)
	if got.Annotations[static.AnnotationSource] != "api" || got.Annotations["other"] != "stays" || eviction.Critical(got) {
		t.Errorf("it has the annotations %v", got.Annotations)
	}
	if p.Annotations[static.AnnotationSource] != "file" {
		t.Error("the feed's own pod was changed")
	}
}
