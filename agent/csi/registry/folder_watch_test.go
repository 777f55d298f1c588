package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/csi/registry"
	"github.com/reckon-project/reckon/test/csidriver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler tells what it is told.
type handler struct {
	mu      sync.Mutex
	failing int
	told    chan string
}

func (h *handler) Register(_ context.Context, name, endpoint string, versions []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing > 0 {
		h.failing--
		return errors.New("not now")
	}
	h.told <- fmt.Sprintf("register %s at %s %v", name, filepath.Base(endpoint), versions)
	return nil
}

func (h *handler) Deregister(_ context.Context, name, endpoint string) {
	h.told <- fmt.Sprintf("deregister %s at %s", name, filepath.Base(endpoint))
}

func expect(t *testing.T, from <-chan string, want string) {
	t.Helper()
	select {
	case got := <-from:
		if got != want {
			t.Errorf("told %q, not %q", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("not told in half a minute: %s", want)
	}
}

func TestPluginsComeAndGo(t *testing.T) {
	dir, err := os.MkdirTemp("", "reg")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	serve := func(path, name string) (*csidriver.Registration, func()) {
		r := &csidriver.Registration{Name: name, Endpoint: filepath.Join(dir, name+"-csi.sock"), Versions: []string{"1.0.0"}, Told: make(chan string, 16)}
		leave, err := r.Serve(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return r, leave
	}
	_, leaveHidden := serve(".hidden.sock", "hidden")
	defer leaveHidden()
	early, leaveEarly := serve("early.sock", "early")
	h := &handler{told: make(chan string, 16)}
	w := registry.Watcher{Dir: dir, Handlers: map[string]registry.Handler{"CSIPlugin": h}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	expect(t, h.told, "register early at early-csi.sock [1.0.0]")
	expect(t, early.Told, "")

	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	below, leaveBelow := serve("sub/below.sock", "below")
	expect(t, h.told, "register below at below-csi.sock [1.0.0]")
	expect(t, below.Told, "")
	leaveBelow()
	expect(t, h.told, "deregister below at below-csi.sock")

	h.mu.Lock()
	h.failing = 1
	h.mu.Unlock()
	ill, leaveIll := serve("ill.sock", "ill")
	expect(t, ill.Told, "not now")
	expect(t, h.told, "register ill at ill-csi.sock [1.0.0]")
	expect(t, ill.Told, "")
	leaveIll()
	expect(t, h.told, "deregister ill at ill-csi.sock")

	leaveEarly()
	expect(t, h.told, "deregister early at early-csi.sock")
	again, leaveAgain := serve("early.sock", "early")
	expect(t, h.told, "register early at early-csi.sock [1.0.0]")
	expect(t, again.Told, "")
	leaveAgain()
	expect(t, h.told, "deregister early at early-csi.sock")
}

// A plugin that begins anew removes its old socket first: the node may see only the new one.
func TestAPluginThatBeganAnew(t *testing.T) {
	dir, err := os.MkdirTemp("", "reg")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "p.sock")
	r := &csidriver.Registration{Name: "p", Endpoint: path, Versions: []string{"1.0.0"}, Told: make(chan string, 16)}
	leave, err := r.Serve(path)
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{told: make(chan string, 16)}
	w := registry.Watcher{Dir: dir, Handlers: map[string]registry.Handler{"CSIPlugin": h}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	expect(t, h.told, "register p at p.sock [1.0.0]")
	other, err := (&csidriver.Registration{Name: "p", Endpoint: path, Versions: []string{"1.1.0"}, Told: make(chan string, 16)}).Serve(path)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, h.told, "deregister p at p.sock")
	expect(t, h.told, "register p at p.sock [1.1.0]")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	leave()
	other()
}
