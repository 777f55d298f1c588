package kubeletapi

import (
	"net/http"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// runningPods serves the pods of which containers run, as the runtime knows them.
func (s *Server) runningPods(w http.ResponseWriter, _ *http.Request) {
	list := v1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []v1.Pod{}}
	for _, view := range s.Pods.All() {
		p := v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: view.Pod.Name, Namespace: view.Pod.Namespace, UID: view.Pod.UID}}
		for _, c := range view.Pod.Spec.Containers {
			if view.Containers[c.Name].Running {
				p.Spec.Containers = append(p.Spec.Containers, v1.Container{Name: c.Name, Image: c.Image})
			}
		}
		for _, c := range view.Pod.Spec.InitContainers {
			if view.Containers[c.Name].Running {
				p.Spec.InitContainers = append(p.Spec.InitContainers, v1.Container{Name: c.Name, Image: c.Image})
			}
		}
		if len(p.Spec.Containers)+len(p.Spec.InitContainers) > 0 {
			list.Items = append(list.Items, p)
		}
	}
	s.writeJSON(w, list)
}
