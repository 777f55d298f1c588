package kubeletapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/downward"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// Pods are the pods of the node.
type Pods interface {
	Find(namespace, name string) (pod.View, bool)
	All() []pod.View
}

// Server serves one node. It is an http.Handler.
type Server struct {
	Node    string
	Root    string // the folder that pod.LogDir is below
	Runtime runtime.Runtime
	Pods    Pods
	Log     *slog.Logger
	Clock   clock.PassiveClock
}

// Handler gives the paths that the API server knows.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }) //nolint:errcheck // the asker is gone
	m.HandleFunc("GET /pods", s.listPods)
	m.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	m.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	m.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", s.exec)
	m.HandleFunc("/attach/{namespace}/{pod}/{container}", s.attach)
	m.HandleFunc("/attach/{namespace}/{pod}/{uid}/{container}", s.attach)
	m.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	m.HandleFunc("/portForward/{namespace}/{pod}/{uid}", s.portForward)
	m.HandleFunc("POST /run/{namespace}/{pod}/{container}", s.run)
	m.HandleFunc("GET /stats/summary", s.summary)
	m.HandleFunc("GET /metrics", s.metrics)
	m.HandleFunc("GET /metrics/resource", s.metrics)
	return m
}

func (s *Server) listPods(w http.ResponseWriter, _ *http.Request) {
	list := v1.PodList{}
	list.APIVersion, list.Kind = "v1", "PodList"
	for _, view := range s.Pods.All() {
		p := *view.Pod
		p.Status = *view.Status
		list.Items = append(list.Items, p)
	}
	s.writeJSON(w, list)
}

func (s *Server) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.Log.Debug("an answer wasn't read to its end", "err", err)
	}
}

// target finds the pod and container that a request names, or answers that
// there is none.
func (s *Server) target(w http.ResponseWriter, r *http.Request) (pod.View, pod.ContainerView, bool) {
	view, ok := s.find(w, r)
	if !ok {
		return view, pod.ContainerView{}, false
	}
	name := r.PathValue("container")
	c, ok := view.Containers[name]
	if !ok {
		if downward.Container(&view.Pod.Spec, name) == nil {
			http.Error(w, "container "+name+" is not valid for pod "+view.Pod.Name, http.StatusNotFound)
		} else {
			http.Error(w, `container "`+name+`" in pod "`+view.Pod.Name+`" is waiting to start: `+waitingReason(view, name), http.StatusBadRequest)
		}
	}
	return view, c, ok
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) (pod.View, bool) {
	view, ok := s.Pods.Find(r.PathValue("namespace"), r.PathValue("pod"))
	if uid := r.PathValue("uid"); ok && uid != "" && uid != string(view.Pod.UID) {
		ok = false
	}
	if !ok {
		http.Error(w, "pod "+r.PathValue("namespace")+"/"+r.PathValue("pod")+" does not exist on this node", http.StatusNotFound)
	}
	return view, ok
}

func waitingReason(view pod.View, name string) string {
	for _, list := range [][]v1.ContainerStatus{view.Status.InitContainerStatuses, view.Status.ContainerStatuses} {
		for _, c := range list {
			if c.Name == name && c.State.Waiting != nil {
				return c.State.Waiting.Reason
			}
		}
	}
	return "ContainerCreating"
}

func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, events.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, events.ErrInvalid):
		code = http.StatusBadRequest
	case errors.Is(err, events.ErrUnavailable):
		code = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), code)
}
