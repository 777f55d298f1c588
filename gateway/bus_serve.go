package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

// busSubject is what the API listens on for connections; its second token is the caller's identity.
const busSubject = "api.*.conn"

// ServeBus serves the API over the tunnels of the bus until ctx ends: HTTP/1.1
// without TLS, authenticated by the subject that was dialled. Who dials one with
// an identity that nobody has gets 401. Beside it custom controllers are served,
// as package bus/client says.
func (s *Server) ServeBus(ctx context.Context) error {
	listener, err := s.options.Bus.Listen(ctx, busSubject)
	if err != nil {
		return fmt.Errorf("serve the API on the bus: %w", err)
	}
	endControllers, err := s.serveControllers(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer endControllers()
	server := &http.Server{
		Handler:     http.HandlerFunc(s.answerBus),
		ConnContext: connIdentity,
		BaseContext: func(net.Listener) context.Context { return s.base },
		// An agent keeps its connection between requests; an idle one is dropped late.
		IdleTimeout: 5 * time.Minute,
	}
	stopped := make(chan error, 1)
	detach := context.AfterFunc(ctx, func() {
		// Watches never end by themselves: they get a moment, then are cut.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := server.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	err = server.Serve(listener)
	switch {
	case !detach():
		return <-stopped
	case ctx.Err() != nil: // the listener noticed first
		return server.Close()
	}
	return errors.Join(err, server.Close())
}

// connIdentity reads the caller's identity from the subject it dialled.
func connIdentity(ctx context.Context, c net.Conn) context.Context {
	id, err := busIdentity(c.LocalAddr().String())
	if err != nil {
		klog.FromContext(ctx).Error(err, "API connection of nobody known", "subject", c.LocalAddr())
		return ctx
	}
	return withIdentity(ctx, id)
}

// answerBus passes a request on once the server answers at all.
func (s *Server) answerBus(w http.ResponseWriter, r *http.Request) {
	id, ok := identityFrom(r.Context())
	if !ok || !id.known(s.options.Log.Snapshot()) {
		http.Error(w, "the subject names no identity", http.StatusUnauthorized)
		return
	}
	select {
	case <-s.local.set:
	case <-r.Context().Done():
		return
	}
	(*s.local.handler.Load()).ServeHTTP(w, r)
}
