// Package gatewaytest starts an API server for tests.
package gatewaytest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/projections"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a running API server and what it stands on.
type Cluster struct {
	Bus           bus.Bus
	Log, Volatile *projections.Projection
	Gateway       *gateway.Server
	Admin         *rest.Config // over HTTPS, as system:masters
}

// Start runs a gateway over an in-memory bus, on a port of its own, until the
// test ends. It returns when the server is ready.
func Start(t testing.TB, change ...func(*gateway.Options)) *Cluster {
	t.Helper()
	return StartOn(t, memory.New(time.Now), t.TempDir(), change...)
}

// StartOn is Start over a bus and a folder of the caller's.
func StartOn(t testing.TB, b bus.Bus, dir string, change ...func(*gateway.Options)) *Cluster {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	c := &Cluster{Bus: b, Log: projections.New(b.Log()), Volatile: projections.New(b.Volatile(), projections.Volatile())}
	folding, stopFolding := context.WithCancel(context.Background())
	var folds errgroup.Group
	folds.Go(func() error { return c.Log.Run(folding) })
	folds.Go(func() error { return c.Volatile.Run(folding) })

	options := gateway.Options{Bus: b, Log: c.Log, Volatile: c.Volatile, Dir: dir, Listen: "127.0.0.1:0"}
	for _, f := range change {
		f(&options)
	}
	server, err := gateway.New(ctx, options)
	if err != nil {
		cancel()
		stopFolding()
		t.Fatal(err)
	}
	c.Gateway = server
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error { return server.ServeBus(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("gateway: %v", err)
		}
		stopFolding()
		if err := folds.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("fold: %v", err)
		}
	})
	select {
	case <-server.Ready():
	case <-ctx.Done():
		t.Fatal("the gateway stopped before it was ready")
	}
	if c.Admin, err = clientcmd.BuildConfigFromFlags("", server.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	return c
}
