package kubeletapi

import (
	"net/http"
	"os"
)

// nodeLogs serves the machine's log files. What links out of their folder isn't
// followed: a pod that may write there can't have other files read.
func (s *Server) nodeLogs(w http.ResponseWriter, r *http.Request) {
	root, err := os.OpenRoot(s.NodeLogs)
	if err != nil {
		http.Error(w, "node "+s.Node+" shows no log files", http.StatusNotFound)
		return
	}
	defer root.Close()
	http.StripPrefix("/logs", http.FileServerFS(root.FS())).ServeHTTP(w, r)
}
