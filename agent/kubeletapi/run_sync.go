package kubeletapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const runTimeout = time.Minute

// run executes a command and answers with its output.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	_, c, ok := s.target(w, r)
	if !ok {
		return
	}
	output, code, err := s.Runtime.ExecSync(r.Context(), c.ID, strings.Fields(r.URL.Query().Get("cmd")), runTimeout)
	if err != nil {
		fail(w, err)
		return
	}
	if code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		output = append(output, fmt.Sprintf("command exited with %d\n", code)...)
	}
	if _, err := w.Write(output); err != nil {
		s.Log.Debug("an answer wasn't read to its end", "err", err)
	}
}
