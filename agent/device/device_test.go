package device_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/device"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plugin offers devices of example.com/gpu.
type plugin struct {
	api.UnimplementedDevicePluginServer
	updates chan []*api.Device
	mu      sync.Mutex
	started []string
	hangs   chan struct{} // Allocate tells that it was asked, and then waits for who asks to give up; nil: it answers
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, s grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		select {
		case <-s.Context().Done():
			return nil
		case d := <-p.updates:
			if err := s.Send(&api.ListAndWatchResponse{Devices: d}); err != nil {
				return err
			}
		}
	}
}

func (p *plugin) GetPreferredAllocation(_ context.Context, r *api.PreferredAllocationRequest) (*api.PreferredAllocationResponse, error) {
	q := r.ContainerRequests[0]
	ids := slices.Clone(q.MustIncludeDeviceIDs)
	for _, id := range slices.Backward(q.AvailableDeviceIDs) { // the last ones
		if len(ids) < int(q.AllocationSize) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return &api.PreferredAllocationResponse{ContainerResponses: []*api.ContainerPreferredAllocationResponse{{DeviceIDs: ids}}}, nil
}

func (p *plugin) Allocate(ctx context.Context, r *api.AllocateRequest) (*api.AllocateResponse, error) {
	if p.hangs != nil {
		close(p.hangs)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &api.AllocateResponse{ContainerResponses: []*api.ContainerAllocateResponse{{
		Envs: map[string]string{"GPUS": fmt.Sprint(r.ContainerRequests[0].DevicesIds)}, Mounts: []*api.Mount{{ContainerPath: "/gpu", HostPath: "/tmp", ReadOnly: true}},
		Devices: []*api.DeviceSpec{{ContainerPath: "/dev/gpu", HostPath: "/dev/null", Permissions: "rw"}}, CdiDevices: []*api.CDIDevice{{Name: "example.com/gpu=0"}},
		Annotations: map[string]string{"gpu": "yes"},
	}}}, nil
}

func (p *plugin) PreStartContainer(_ context.Context, r *api.PreStartContainerRequest) (*api.PreStartContainerResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = append(p.started, r.DevicesIds...)
	return &api.PreStartContainerResponse{}, nil
}

// register serves a plugin beside the manager's socket and registers it.
func register(t *testing.T, dir string, p *plugin) (stop func()) {
	t.Helper()
	awaitSocket(t, filepath.Join(dir, "kubelet.sock")) // what was there before it is removed
	l, err := net.Listen("unix", filepath.Join(dir, "gpu.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	var done sync.WaitGroup
	done.Go(func() { server.Serve(l) }) //nolint:errcheck // it ends when it is stopped
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, "kubelet.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, bad := range []*api.RegisterRequest{
		{Version: "v9", Endpoint: "gpu.sock", ResourceName: "example.com/gpu"}, {Version: api.Version, Endpoint: "../gpu.sock", ResourceName: "example.com/gpu"},
		{Version: api.Version, Endpoint: "gpu.sock", ResourceName: "cpu"}, {Version: api.Version, Endpoint: "gpu.sock", ResourceName: "kubernetes.io/gpu"},
	} {
		if _, err := api.NewRegistrationClient(conn).Register(ctx, bad, grpc.WaitForReady(true)); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	if _, err := api.NewRegistrationClient(conn).Register(ctx, &api.RegisterRequest{Version: api.Version, Endpoint: "gpu.sock", ResourceName: "example.com/gpu",
		Options: &api.DevicePluginOptions{PreStartRequired: true, GetPreferredAllocationAvailable: true}}, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	return func() { server.Stop(); done.Wait() }
}

func awaitSocket(t *testing.T, path string) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-ticker.C {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s", path)
		}
	}
}

func run(t *testing.T, dir string, changed chan struct{}) (m *device.Manager, stop func()) {
	t.Helper()
	m, err := device.New(dir, slog.New(slog.DiscardHandler), clock.RealClock{}, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return m, func() { cancel(); done.Wait() }
}

func await(t *testing.T, m *device.Manager, changed chan struct{}, capacity, allocatable int64) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		has, healthy := m.Resources()
		c, a := has["example.com/gpu"], healthy["example.com/gpu"]
		if c.Value() == capacity && a.Value() == allocatable {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s devices, %s of them healthy; want %d, %d", c.String(), a.String(), capacity, allocatable)
		}
	}
}

func devices(health ...string) (out []*api.Device) {
	for i, h := range health {
		out = append(out, &api.Device{ID: fmt.Sprintf("d%d", i), Health: h})
	}
	return out
}

func gpuPod(name string, inits []int64, mains ...int64) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	container := func(name string, n int64) v1.Container {
		return v1.Container{Name: name, Resources: v1.ResourceRequirements{Limits: v1.ResourceList{"example.com/gpu": *resource.NewQuantity(n, resource.DecimalSI), "cpu": resource.MustParse("1")}}}
	}
	for i, n := range inits {
		p.Spec.InitContainers = append(p.Spec.InitContainers, container(fmt.Sprintf("init%d", i), n))
	}
	for i, n := range mains {
		p.Spec.Containers = append(p.Spec.Containers, container(fmt.Sprintf("main%d", i), n))
	}
	return p
}

func TestDevices(t *testing.T) {
	dir, changed := t.TempDir(), make(chan struct{}, 1)
	m, stop := run(t, dir, changed)
	p := &plugin{updates: make(chan []*api.Device, 1)}
	unplug := register(t, dir, p)
	p.updates <- devices(api.Healthy, api.Unhealthy, api.Healthy, api.Healthy)
	await(t, m, changed, 4, 3)

	if err := m.Admit(t.Context(), gpuPod("a", []int64{2}, 1)); err != nil {
		t.Fatal(err)
	}
	gpus := func(m *device.Manager, uid, container string) string {
		t.Helper()
		e, err := m.Equip(t.Context(), uid, container)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Envs) == 0 {
			return ""
		}
		if len(e.Mounts) != 1 || len(e.Devices) != 1 || e.Devices[0].HostPath != "/dev/null" || len(e.CDI) != 1 || e.Annotations["gpu"] != "yes" {
			t.Errorf("got %+v", e)
		}
		return string(e.Envs[0].Value)
	}
	if got := gpus(m, "a", "init0") + gpus(m, "a", "main0"); got != "[d2 d3][d2]" { // the main container uses what the first one had
		t.Errorf("the first pod got %s", got)
	}
	if len(p.started) != 3 {
		t.Errorf("prepared were %q", p.started)
	}
	err := m.Admit(t.Context(), gpuPod("b", nil, 2))
	if err == nil || err.Error() != "requested number of devices unavailable for example.com/gpu. Requested: 2, Available: 1" {
		t.Errorf("too many: %v", err)
	}
	if err := m.Admit(t.Context(), gpuPod("b", nil, 1)); err != nil || gpus(m, "b", "main0") != "[d0]" {
		t.Errorf("the second pod: %v", err)
	}

	// Neither the agent's end nor the plugin's loses who has what.
	stop()
	unplug()
	m, stop = run(t, dir, changed)
	defer stop()
	if got := gpus(m, "a", "main0") + gpus(m, "b", "main0"); got != "[d2][d0]" {
		t.Errorf("after a restart they have %s", got)
	}
	p = &plugin{updates: make(chan []*api.Device, 1)}
	unplug = register(t, dir, p)
	p.updates <- devices(api.Healthy, api.Healthy, api.Healthy, api.Healthy)
	await(t, m, changed, 4, 4)
	if err := m.Admit(t.Context(), gpuPod("a", []int64{2}, 1)); err != nil || gpus(m, "a", "main0") != "[d2]" {
		t.Errorf("admitted again: %v", err)
	}
	if err := m.Admit(t.Context(), gpuPod("c", nil, 2)); err == nil {
		t.Error("there are devices for three pods")
	}
	if err := m.Release("a"); err != nil {
		t.Fatal(err)
	}
	if err := m.Admit(t.Context(), gpuPod("c", nil, 2)); err != nil || gpus(m, "c", "main0") != "[d2 d3]" {
		t.Errorf("the third pod: %v", err)
	}
	unplug()
	await(t, m, changed, 4, 0)
}

// A plugin that hangs keeps nobody waiting who doesn't want its devices.
func TestAPluginThatHangs(t *testing.T) {
	dir, changed := t.TempDir(), make(chan struct{}, 1)
	m, stop := run(t, dir, changed)
	defer stop()
	p := &plugin{updates: make(chan []*api.Device, 1), hangs: make(chan struct{})}
	unplug := register(t, dir, p)
	defer unplug()
	p.updates <- devices(api.Healthy)
	await(t, m, changed, 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := m.Admit(ctx, gpuPod("a", nil, 1)); err == nil {
			t.Error("the pod got what nobody gave")
		}
	})
	<-p.hangs
	other := gpuPod("b", nil, 1)
	delete(other.Spec.Containers[0].Resources.Limits, "example.com/gpu")
	admitted := make(chan error, 1)
	done.Go(func() { admitted <- m.Admit(t.Context(), other) })
	select {
	case err := <-admitted:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a pod without devices waits for another one's plugin")
	}
	cancel()
	done.Wait()
}
