package server_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
)

// startCluster starts three servers that replicate everything.
func startCluster(t *testing.T) []*server.Server {
	t.Helper()
	peers := freePeers(t)
	authority, err := trust.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	servers := make([]*server.Server, len(peers))
	errs := make([]error, len(peers))
	var wg sync.WaitGroup
	for i := range servers {
		dir := t.TempDir()
		wg.Go(func() {
			servers[i], errs[i] = server.Start(server.Options{
				Dir: dir, Name: fmt.Sprintf("s%d", i+1), Authenticate: outside, TLS: authority.Listen(),
				Cluster: &server.Cluster{Name: "test", Listen: peers[i], Peers: peers, Secret: "test", TLS: authority.Peers()},
			})
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, s := range servers {
			if s != nil {
				wg.Go(s.Shutdown)
			}
		}
		wg.Wait()
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return servers
}

// freePeers gives three free addresses for the servers of a cluster. They are on
// loopback addresses of their own: nobody who takes any port on the usual one
// can take theirs meanwhile.
func freePeers(t *testing.T) []string {
	t.Helper()
	peers := make([]string, 3)
	for i := range peers {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.2.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		peers[i] = l.Addr().String()
		l.Close()
	}
	return peers
}

func TestConformanceCluster(t *testing.T) {
	n := 0
	bustest.Run(t, func(t *testing.T) bus.Bus {
		servers := startCluster(t)
		n++
		return connect(t, servers[n%len(servers)], "component:test")
	})
}

func TestConformanceOverTCP(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
		b, err := bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: "component:test", Password: "right"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	})
}
