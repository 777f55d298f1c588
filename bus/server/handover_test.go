package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/reckon-project/reckon/events"
)

// TestHandover lets servers ask one that waits for its majority.
func TestHandover(t *testing.T) {
	authority, err := trust.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.2.9:0")
	if err != nil {
		t.Fatal(err)
	}
	listen, peers := l.Addr().String(), freePeers(t)
	l.Close()
	waiting, cancel := context.WithCancel(t.Context())
	started := make(chan error, 1)
	go func() {
		s, err := server.StartContext(waiting, server.Options{
			Dir: t.TempDir(), Name: "s1", Listen: listen, Authenticate: outside, TLS: authority.Listen(),
			Cluster:  &server.Cluster{Name: "test", Listen: peers[0], Peers: peers, Secret: "test", TLS: authority.Peers()},
			Handover: func(name string) ([]byte, error) { return fmt.Appendf(nil, "secrets for %s", name), nil },
		})
		if s != nil {
			s.Shutdown()
		}
		started <- err
	}()
	defer func() {
		cancel()
		if err := <-started; err == nil {
			t.Error("the server started without a majority")
		}
	}()

	ask := func(identity, password, hash string) (string, error) {
		answer, err := server.Handover(t.Context(), "tls://"+listen, bus.Credentials{Identity: identity, Password: password, TLS: trust.Pinned(hash)})
		return string(answer), err
	}
	var answer string
	for answer, err = ask("server:s2", "right", authority.Hash()); errors.Is(err, events.ErrUnavailable) && t.Context().Err() == nil; {
		answer, err = ask("server:s2", "right", authority.Hash()) // it isn't listening yet
	}
	if err != nil || answer != "secrets for s2" {
		t.Fatalf("the server that joins got %q, %v", answer, err)
	}
	if answer, err := ask("server:s2", "wrong", authority.Hash()); err == nil {
		t.Errorf("with a wrong token: %q", answer)
	}
	other, err := trust.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := ask("server:s2", "right", other.Hash()); err == nil {
		t.Errorf("a server of another cluster was believed: %q", answer)
	}
	if answer, err := ask("node:s2", "right", authority.Hash()); err == nil {
		t.Errorf("a node got the servers' secrets: %q", answer)
	}
}
