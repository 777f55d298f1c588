package server_test

import (
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

func start(t testing.TB, options server.Options) *server.Server {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	s, err := server.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t testing.TB, s *server.Server, identity string) bus.Bus {
	t.Helper()
	b, err := s.Connect(identity)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformanceInProcess(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus { return connect(t, start(t, server.Options{}), "component:test") })
}
