package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/reckon-project/reckon/events"
	"k8s.io/apiserver/pkg/authentication/user"
)

// inProcess hands requests to the server's handler chain without a socket. It
// exists before the server does: requests wait for the handler to be set.
type inProcess struct {
	handler atomic.Pointer[http.Handler]
	set     chan struct{}
	base    context.Context // ends with the server
	running sync.WaitGroup
	short   *shortWay // nil: there is none
}

func newInProcess(base context.Context) *inProcess {
	return &inProcess{set: make(chan struct{}), base: base}
}

func (p *inProcess) serve(h http.Handler) {
	p.handler.Store(&h)
	close(p.set)
}

// transport is the way in for one identity.
func (p *inProcess) transport(u user.Info) http.RoundTripper {
	return &inProcessTransport{p, identity{user: u, trust: trustAll}}
}

type inProcessTransport struct {
	*inProcess
	identity identity
}

// RoundTrip runs the request through the handler chain. The response's body is
// a stream: it can be read while the handler writes (watches). Closing it, or
// the end of the request's context, ends the handler's context.
func (t *inProcessTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-t.set:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-t.base.Done():
		return nil, errStopped
	}
	if t.base.Err() != nil {
		return nil, errStopped
	}
	ctx, cancel := context.WithCancelCause(withIdentity(req.Context(), t.identity))
	detach := context.AfterFunc(t.base, func() { cancel(errStopped) })

	in := req.WithContext(ctx)
	in.Header = req.Header.Clone() // filters remove headers
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := newResponseStream(ctx, cancel)
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		defer detach()
		defer func() {
			switch p := recover(); p {
			case nil:
				out.finish(nil)
			case http.ErrAbortHandler:
				out.finish(errors.New("the server aborted the response"))
			default:
				out.finish(fmt.Errorf("the server's handler panicked: %v", p))
			}
			in.Body.Close()
		}()
		(*t.handler.Load()).ServeHTTP(out, in)
	}()
	return out.response(req)
}

var errStopped = fmt.Errorf("%w: the API server has stopped", events.ErrUnavailable)
