package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // what is served
)

// serveProfiler serves Go's profiler until stop is called.
func serveProfiler(address string) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--pprof: %w", err)
	}
	server := &http.Server{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			slog.Warn("profiler", "error", err)
		}
	}()
	return func() {
		server.Close()
		<-ended
	}, nil
}
