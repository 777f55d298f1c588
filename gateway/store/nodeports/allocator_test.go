package nodeports_test

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/gateway/store/nodeports"
	"github.com/reckon-project/reckon/projections"
)

// server makes a server's stores on a bus: a projection and hub of its own.
func server(t *testing.T, b *memory.Bus) *store.Factory {
	t.Helper()
	o := store.FactoryOptions{
		Log: b.Log(), Projection: projections.New(b.Log()),
		Volatile: b.Volatile(), VolatileProjection: projections.New(b.Volatile(), projections.Volatile()),
		Schemes: []*runtime.Scheme{legacyscheme.Scheme},
	}
	f := store.NewFactory(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.Projection.Run(ctx) })
	running.Go(func() { o.VolatileProjection.Run(ctx) })
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func config() *storagebackend.ConfigForResource {
	return (&storagebackend.Config{
		Codec:           legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion),
		EncodeVersioner: corev1.SchemeGroupVersion,
	}).ForResource(api.Resource("servicenodeportallocations"))
}

// TestTwoServers allocates a whole range from two servers at once: every port
// goes out once.
func TestTwoServers(t *testing.T) {
	b := memory.New(time.Now)
	ports := net.PortRange{Base: 30000, Size: 60}
	taken := make(chan int, ports.Size)
	var servers sync.WaitGroup
	for range 2 {
		a, _, err := nodeports.New(ports, config(), server(t, b).Decorator)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			servers.Go(func() {
				for range ports.Size / 6 {
					port, err := a.AllocateNext()
					if err != nil {
						t.Error(err)
						return
					}
					taken <- port
				}
			})
		}
	}
	servers.Wait()
	close(taken)
	seen := map[int]bool{}
	for port := range taken {
		if seen[port] || !ports.Contains(port) {
			t.Errorf("port %d: twice, or out of range", port)
		}
		seen[port] = true
	}
	a, _, err := nodeports.New(ports, config(), server(t, b).Decorator)
	if err != nil {
		t.Fatal(err)
	}
	if free := a.Free(); free != 0 {
		t.Errorf("%d ports are free, none was expected", free)
	}
	if port, err := a.AllocateNext(); err == nil {
		t.Errorf("a full range gave port %d", port)
	}
	if err := a.Release(30007); err != nil {
		t.Fatal(err)
	}
	if a.Has(30007) {
		t.Error("a released port is still taken")
	}
	if err := a.Allocate(30007); err != nil {
		t.Error(err)
	}
	if err := a.Allocate(30007); err == nil {
		t.Error("port 30007 was given out twice")
	}
}

// TestRepairConflict replaces the range by one computed from an old version.
func TestRepairConflict(t *testing.T) {
	a, registry, err := nodeports.New(net.PortRange{Base: 30000, Size: 100}, config(), server(t, memory.New(time.Now)).Decorator)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Allocate(30001); err != nil {
		t.Fatal(err)
	}
	snapshot, err := registry.Get()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Allocate(30002); err != nil {
		t.Fatal(err)
	}
	if err := registry.CreateOrUpdate(snapshot); !apierrors.IsConflict(err) {
		t.Errorf("an old range replaced a newer one: %v", err)
	}
	if snapshot, err = registry.Get(); err != nil {
		t.Fatal(err)
	}
	if err := registry.CreateOrUpdate(snapshot); err != nil {
		t.Errorf("the present range was refused: %v", err)
	}
	if !a.Has(30002) {
		t.Error("port 30002 was lost")
	}
}
