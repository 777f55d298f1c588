package kubeletapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/httpstream/wsstream" //nolint:staticcheck // what the translators of the API server take
	"k8s.io/apimachinery/pkg/util/proxy"
	translate "k8s.io/apiserver/pkg/util/proxy"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	_, c, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	o, err := streams(q)
	if err != nil {
		fail(w, err)
		return
	}
	u, err := s.Runtime.Exec(r.Context(), &cri.ExecRequest{
		ContainerId: c.ID, Cmd: q["command"], Tty: o.Tty, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	s.handThrough(w, r, u, o, err)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	_, c, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	o, err := streams(q)
	if err != nil {
		fail(w, err)
		return
	}
	u, err := s.Runtime.Attach(r.Context(), &cri.AttachRequest{
		ContainerId: c.ID, Tty: o.Tty, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	s.handThrough(w, r, u, o, err)
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
	if err != nil {
		fail(w, err)
		return
	}
	through := http.Handler(proxy.NewUpgradeAwareHandler(u, nil, false, true, responder{}))
	if wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {
		through = translate.NewTunnelingHandler(through)
	}
	through.ServeHTTP(w, r)
}

// streams reads which streams a session has, as the API server writes it. A
// terminal has no standard error of its own.
func streams(q url.Values) (translate.Options, error) {
	o := translate.Options{Tty: on(q, "tty"), Stdin: on(q, "input"), Stdout: on(q, "output")}
	o.Stderr = on(q, "error") && !o.Tty
	if !o.Stdin && !o.Stdout && !o.Stderr {
		return o, fmt.Errorf("%w: you must specify at least 1 of stdin, stdout, stderr", events.ErrInvalid)
	}
	return o, nil
}

// on reads a flag as the API server writes it.
func on(q url.Values, name string) bool {
	v := q.Get(name)
	return v == "1" || v == "true"
}

// handThrough connects the caller to the runtime's streaming server, which speaks
// SPDY: WebSockets with the protocol that can close one stream are translated.
func (s *Server) handThrough(w http.ResponseWriter, r *http.Request, u *url.URL, o translate.Options, err error) {
	switch {
	case err != nil:
		fail(w, err)
	case wsstream.IsWebSocketRequestWithStreamCloseProtocol(r):
		translate.NewStreamTranslatorHandler(u, nil, 0, o).ServeHTTP(w, r)
	case wsstream.IsWebSocketRequest(r):
		http.Error(w, "of the WebSocket protocols the node speaks v5.channel.k8s.io", http.StatusBadRequest)
	default:
		proxy.NewUpgradeAwareHandler(u, nil, false, true, responder{}).ServeHTTP(w, r)
	}
}

type responder struct{}

func (responder) Error(w http.ResponseWriter, _ *http.Request, err error) { fail(w, err) }
