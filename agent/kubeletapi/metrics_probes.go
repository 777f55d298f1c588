package kubeletapi

import "net/http"

// probeMetrics serves how often containers answered to probes, and how fast.
func (s *Server) probeMetrics(w http.ResponseWriter, r *http.Request) {
	if s.Probes == nil {
		exposed(w, r)
		return
	}
	exposed(w, r, s.Probes)
}
