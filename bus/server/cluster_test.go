package server_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

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

// The cases have one cluster, each with new streams: what they check doesn't
// depend on when servers start, and a cluster takes seconds to elect its leaders.
func TestConformanceCluster(t *testing.T) {
	servers := startCluster(t)
	n := 0
	bustest.Run(t, func(t *testing.T) bus.Bus {
		if n++; n > 1 {
			renewStreams(t, servers[0])
		}
		b := connect(t, servers[n%len(servers)], "component:test")
		t.Cleanup(func() { b.Close() })
		return b
	})
}

// renewStreams replaces all streams by empty ones.
func renewStreams(t *testing.T, s *server.Server) {
	t.Helper()
	ctx := contextFor(t)
	nc, err := s.Dial("component:test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bus.StreamLog, bus.StreamVolatile, bus.StreamFeed, bus.StreamLeases, "OBJ_" + bus.BucketBlobs} {
		if err := js.DeleteStream(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.CreateStreams(ctx, js, 3); err != nil {
		t.Fatal(err)
	}
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
