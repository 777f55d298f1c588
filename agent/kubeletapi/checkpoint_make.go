package kubeletapi

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// Checkpointer is a runtime that can write a container's memory to a file. One
// that finds out that it can't says so with events.ErrInvalid.
type Checkpointer interface {
	Checkpoint(ctx context.Context, id, file string) error
}

// checkpoint writes a container's state to a file on the node and names that.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	view, c, ok := s.target(w, r)
	if !ok {
		return
	}
	runtime, ok := s.Runtime.(Checkpointer)
	if !ok || s.Root == "" {
		http.Error(w, "the container runtime of node "+s.Node+" can't write checkpoints", http.StatusNotImplemented)
		return
	}
	dir := filepath.Join(s.Root, "checkpoints")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		fail(w, fmt.Errorf("make the folder for checkpoints: %w: %w", events.ErrUnavailable, err))
		return
	}
	file := filepath.Join(dir, fmt.Sprintf("checkpoint-%s_%s-%s-%s.tar", view.Pod.Name, view.Pod.Namespace, r.PathValue("container"), s.Clock.Now().UTC().Format("2006-01-02T15:04:05Z")))
	if err := runtime.Checkpoint(r.Context(), c.ID, file); err != nil {
		fail(w, err)
		return
	}
	s.writeJSON(w, map[string][]string{"items": {file}})
}
