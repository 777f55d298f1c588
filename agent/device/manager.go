package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	"k8s.io/utils/clock"
)

const (
	socket     = "kubelet.sock"
	checkpoint = "devices.json"
	names      = "resources.json"
	awayAtMost = 5 * time.Minute // before a resource without plugin is gone
)

// Manager knows a node's device plugins. Make one with New.
type Manager struct {
	dir     string
	log     *slog.Logger
	clock   clock.PassiveClock
	changed func() // the resources did

	plugins sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // Run's
	offers  map[string]*offer
	given   map[string]map[string]map[string]*given // by pod's uid, container, resource
	serving sync.Mutex                              // one admission at a time
}

// offer is what one plugin has of one resource. One without client is of a plugin
// that was there once.
type offer struct {
	client  api.DevicePluginClient
	options *api.DevicePluginOptions
	stop    context.CancelFunc
	devices map[string]*api.Device
	left    time.Time // when its plugin went away; zero: it is there
}

// New makes a manager whose sockets and checkpoint are in dir. changed is called
// when resources came, went or changed.
func New(dir string, log *slog.Logger, c clock.PassiveClock, changed func()) (*Manager, error) {
	m := &Manager{dir: dir, log: log, clock: c, changed: changed, offers: map[string]*offer{}}
	return m, errors.Join(m.read(), m.readNames())
}

// Run serves plugins until ctx is done.
func (m *Manager) Run(ctx context.Context) error {
	if err := os.MkdirAll(m.dir, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 {
			if err := os.Remove(filepath.Join(m.dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx) // the plugins are left when this ends for whatever reason
	defer cancel()
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	l, err := net.Listen("unix", filepath.Join(m.dir, socket))
	if err != nil {
		return fmt.Errorf("listen for device plugins: %w", err)
	}
	server := grpc.NewServer()
	api.RegisterRegistrationServer(server, registration{m: m})
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	err = server.Serve(l)
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	m.plugins.Wait()
	return err
}

type registration struct {
	api.UnsafeRegistrationServer
	m *Manager
}

// Register implements the kubelet's service for plugins.
func (r registration) Register(_ context.Context, q *api.RegisterRequest) (*api.Empty, error) {
	if !slices.Contains(api.SupportedVersions[:], q.Version) {
		return nil, fmt.Errorf("device plugin API version %q isn't supported (%s is)", q.Version, api.Version)
	}
	if !extended(q.ResourceName) {
		return nil, fmt.Errorf("%q isn't the name of an extended resource", q.ResourceName)
	}
	if q.Endpoint == "" || q.Endpoint != filepath.Base(q.Endpoint) || q.Endpoint == socket {
		return nil, fmt.Errorf("%q isn't the name of a socket beside this one", q.Endpoint)
	}
	return &api.Empty{}, r.m.add(q)
}

func extended(name string) bool {
	domain, _, ok := strings.Cut(name, "/")
	return ok && len(validation.IsQualifiedName("requests."+name)) == 0 && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
}

// Resources gives what there is of each resource, and how much of it is healthy.
func (m *Manager) Resources() (capacity, allocatable v1.ResourceList) {
	capacity, allocatable = v1.ResourceList{}, v1.ResourceList{}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, o := range m.offers {
		if o.client != nil && !o.left.IsZero() && m.clock.Since(o.left) >= awayAtMost {
			o = &offer{left: o.left}
			m.offers[name] = o // none of it, which must be said
		}
		capacity[v1.ResourceName(name)] = *resource.NewQuantity(int64(len(o.devices)), resource.DecimalSI)
		allocatable[v1.ResourceName(name)] = *resource.NewQuantity(int64(len(o.healthy())), resource.DecimalSI)
	}
	return capacity, allocatable
}

// healthy gives the ids of the devices that can be used, in order.
func (o *offer) healthy() (out []string) {
	if !o.left.IsZero() {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(o.devices)) {
		if o.devices[id].Health == api.Healthy {
			out = append(out, id)
		}
	}
	return out
}
