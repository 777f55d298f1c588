package server_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
)

// stallingProxy forwards connections to a server until it is stalled: then
// everything on them stays on its way, as with a stopped process.
type stallingProxy struct {
	net.Listener
	mu    sync.RWMutex
	tasks sync.WaitGroup
}

func newStallingProxy(t *testing.T, to string) *stallingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &stallingProxy{Listener: l}
	p.tasks.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			p.tasks.Go(func() { p.copy(near, far) })
			p.tasks.Go(func() { p.copy(far, near) })
		}
	})
	return p
}

func (p *stallingProxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.RLock() // held by stall
		_, werr := to.Write(b[:n])
		p.mu.RUnlock()
		if err != nil || werr != nil {
			return
		}
	}
}

func (p *stallingProxy) stall() (resume func()) {
	p.mu.Lock()
	return p.mu.Unlock
}

// A holder that stalls loses its lease: it knows before another leads, and the
// other has a higher epoch.
func TestStalledLeaderIsReplaced(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	p := newStallingProxy(t, strings.TrimPrefix(s.ClientURL(), "nats://"))
	defer p.tasks.Wait()
	defer p.Close()
	stalled, err := bus.Connect(contextFor(t), "nats://"+p.Addr().String(), bus.Credentials{Identity: "component:old", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	old, err := stalled.Lead(contextFor(t), "scheduler", "old")
	if err != nil {
		t.Fatal(err)
	}
	resume := p.stall()
	stop := sync.OnceFunc(resume)
	defer stop()
	ended := make(chan time.Time, 1)
	go func() {
		<-old.Context.Done()
		ended <- time.Now()
	}()
	fresh, err := connect(t, s, "component:new").Lead(contextFor(t), "scheduler", "new")
	leads := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Release()
	if knew := <-ended; knew.After(leads) {
		t.Errorf("the old leader knew %s after the new one led", knew.Sub(leads))
	}
	if fresh.Epoch <= old.Epoch {
		t.Errorf("epoch %d after %d", fresh.Epoch, old.Epoch)
	}
	// Awake again, the old one takes nothing away from the new one.
	stop()
	old.Release()
	select {
	case <-fresh.Context.Done():
		t.Error("the new leader lost its lease to the old one")
	case <-time.After(4 * time.Second): // it has renewed once
	}
}
