package kubeletapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubelet "k8s.io/kubelet/config/v1beta1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/downward"
	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/probe"
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
	Root    string // the folder that pod.LogDir is below; "": there are no files
	Runtime runtime.Runtime
	Pods    Pods
	Meter   *measure.Meter
	// Probes count what containers answered; nil: nobody asks them.
	Probes *probe.Counts
	// Config is the agent's configuration in the kubelet's terms; nil: empty.
	Config func() kubelet.KubeletConfiguration
	// NodeLogs is the folder of the machine's log files; "": they aren't shown.
	NodeLogs string
	// Cgroups is where they are mounted, CgroupPrefix is the pods' below that.
	Cgroups      machine.Cgroups
	CgroupPrefix string
	// VolumePath is where a pod's volume is.
	VolumePath func(uid, name string) string
	Log        *slog.Logger
	Clock      clock.PassiveClock

	walks walks
}

// Handler gives the paths that the API server and metrics collectors know.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	healthy := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) } //nolint:errcheck // the asker is gone
	for _, check := range []string{"", "/ping", "/log", "/syncloop"} {
		m.HandleFunc("GET /healthz"+check, healthy)
	}
	for path, serve := range map[string]http.HandlerFunc{
		"GET /pods": s.listPods, "GET /runningpods": s.runningPods, "GET /configz": s.config,
		"GET /stats": s.summary, "GET /stats/summary": s.summary,
		"GET /metrics": s.nodeMetrics, "GET /metrics/resource": s.resourceMetrics,
		"GET /metrics/cadvisor": s.cadvisorMetrics, "GET /metrics/probes": s.probeMetrics,
		"GET /logs": s.nodeLogs,
		"GET /containerLogs/{namespace}/{pod}/{container}": s.logs,
		"/exec/{namespace}/{pod}/{container}":              s.exec,
		"/exec/{namespace}/{pod}/{uid}/{container}":        s.exec,
		"/attach/{namespace}/{pod}/{container}":            s.attach,
		"/attach/{namespace}/{pod}/{uid}/{container}":      s.attach,
		"/portForward/{namespace}/{pod}":                   s.portForward,
		"/portForward/{namespace}/{pod}/{uid}":             s.portForward,
		"POST /run/{namespace}/{pod}/{container}":          s.run,
		"POST /run/{namespace}/{pod}/{uid}/{container}":    s.run,
		"POST /checkpoint/{namespace}/{pod}/{container}":   s.checkpoint,
	} {
		m.HandleFunc(path, serve)
		if !strings.Contains(path, "{") {
			m.HandleFunc(path+"/{$}", serve)
		}
	}
	m.HandleFunc("GET /logs/", s.nodeLogs)
	return m
}

func (s *Server) listPods(w http.ResponseWriter, _ *http.Request) {
	list := v1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []v1.Pod{}}
	for _, view := range s.Pods.All() {
		p := *view.Pod
		p.Status = *view.Status
		p.APIVersion, p.Kind = "v1", "Pod"
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
