package kubeletapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/proxy"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	_, c, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	u, err := s.Runtime.Exec(r.Context(), &cri.ExecRequest{
		ContainerId: c.ID, Cmd: q["command"], Tty: on(q, "tty"),
		Stdin: on(q, "input"), Stdout: on(q, "output"), Stderr: on(q, "error") && !on(q, "tty"),
	})
	s.handThrough(w, r, u, err)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	_, c, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	u, err := s.Runtime.Attach(r.Context(), &cri.AttachRequest{
		ContainerId: c.ID, Tty: on(q, "tty"),
		Stdin: on(q, "input"), Stdout: on(q, "output"), Stderr: on(q, "error") && !on(q, "tty"),
	})
	s.handThrough(w, r, u, err)
}

func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	view, ok := s.find(w, r)
	if !ok {
		return
	}
	var ports []int32
	for _, list := range r.URL.Query()["port"] {
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				http.Error(w, "port "+text+" is not a number", http.StatusBadRequest)
				return
			}
			ports = append(ports, int32(n))
		}
	}
	u, err := s.Runtime.PortForward(r.Context(), &cri.PortForwardRequest{PodSandboxId: view.Sandbox, Port: ports})
	s.handThrough(w, r, u, err)
}

// on reads a flag as the API server writes it.
func on(q url.Values, name string) bool {
	v := q.Get(name)
	return v == "1" || v == "true"
}

// handThrough connects the caller to the runtime's streaming server.
func (s *Server) handThrough(w http.ResponseWriter, r *http.Request, u *url.URL, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	proxy.NewUpgradeAwareHandler(u, nil, false, true, responder{}).ServeHTTP(w, r)
}

type responder struct{}

func (responder) Error(w http.ResponseWriter, _ *http.Request, err error) { fail(w, err) }
