package kubeletapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"

	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// logs serves a container's log, as kubectl logs asks for it.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	view, c, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	options, err := logOptions(q, s.Clock.Now())
	if err != nil {
		fail(w, err)
		return
	}
	id, attempt, name := c.ID, c.Attempt, r.PathValue("container")
	if q.Get("previous") == "true" {
		if c.Previous == "" {
			http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", name, view.Pod.Name), http.StatusBadRequest)
			return
		}
		id, attempt = c.Previous, c.PreviousAttempt
	}
	path := filepath.Join(pod.LogDir(s.Root, view.Pod), pod.LogPath(name, attempt))
	if _, err := os.Stat(path); err != nil {
		fail(w, fmt.Errorf("%w: the log of container %s is gone: %v", events.ErrNotFound, name, err))
		return
	}
	out := &flushing{w: w, flush: http.NewResponseController(w).Flush}
	stdout, stderr := io.Writer(out), io.Writer(out)
	switch q.Get("stream") {
	case v1.LogStreamStdout:
		stderr = nil
	case v1.LogStreamStderr:
		stdout = nil
	}
	w.Header().Set("Content-Type", "text/plain")
	if options.Follow {
		if err := out.flush(); err != nil { // the headers, before the first line comes
			return
		}
	}
	if err := logs.ReadLogs(r.Context(), path, id, options, watched{runtime: s.Runtime}, stdout, stderr); err != nil && r.Context().Err() == nil {
		s.Log.Info("a log wasn't read to its end", "path", path, "err", err)
	}
}

// logOptions reads which part of a log is wanted. What can't be is what the
// kubelet refuses.
func logOptions(q url.Values, now time.Time) (*logs.LogOptions, error) {
	out := &logs.LogOptions{Follow: q.Get("follow") == "true", Timestamp: q.Get("timestamps") == "true"}
	var since *int64
	for _, n := range []struct {
		name  string
		least int64
		to    **int64
	}{{"tailLines", 0, &out.TailLines}, {"limitBytes", 1, &out.LimitBytes}, {"sinceSeconds", 1, &since}} {
		text := q.Get(n.name)
		if text == "" {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < n.least {
			return nil, fmt.Errorf("%w: %s is %q, it must be a number of at least %d", events.ErrInvalid, n.name, text, n.least)
		}
		*n.to = &v
	}
	if since != nil {
		out.Since = now.Add(-time.Duration(*since) * time.Second)
	}
	if text := q.Get("sinceTime"); text != "" {
		if since != nil {
			return nil, fmt.Errorf("%w: at most one of sinceTime or sinceSeconds may be specified", events.ErrInvalid)
		}
		var err error
		if out.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("%w: sinceTime: %v", events.ErrInvalid, err)
		}
	}
	switch stream := q.Get("stream"); stream {
	case "", v1.LogStreamAll:
	case v1.LogStreamStdout, v1.LogStreamStderr:
		if out.TailLines != nil {
			return nil, fmt.Errorf("%w: tailLines and specific stream are mutually exclusive for now", events.ErrInvalid)
		}
	default:
		return nil, fmt.Errorf("%w: stream is %q, not one of All, Stdout, Stderr", events.ErrInvalid, stream)
	}
	return out, nil
}

// flushing sends every line at once.
type flushing struct {
	w     io.Writer
	flush func() error
}

func (f *flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.flush()
	}
	return n, err
}

// watched lets the log reader see whether the container still runs: the one
// thing that it asks a runtime service for.
type watched struct {
	internalapi.RuntimeService
	runtime runtime.Runtime
}

func (w watched) ContainerStatus(ctx context.Context, id string, _ bool) (*cri.ContainerStatusResponse, error) {
	status, err := w.runtime.ContainerStatus(ctx, id)
	if err != nil {
		return nil, err
	}
	return &cri.ContainerStatusResponse{Status: status}, nil
}
