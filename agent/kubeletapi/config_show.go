package kubeletapi

import (
	"net/http"

	kubelet "k8s.io/kubelet/config/v1beta1"
)

// config serves the agent's configuration in the kubelet's terms, as /configz does.
func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	c := kubelet.KubeletConfiguration{}
	if s.Config != nil {
		c = s.Config()
	}
	c.APIVersion, c.Kind = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
	s.writeJSON(w, map[string]any{"kubeletconfig": c})
}
