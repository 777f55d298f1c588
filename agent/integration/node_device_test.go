package integration

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// twoGPUs is a device plugin.
type twoGPUs struct {
	api.UnimplementedDevicePluginServer
}

func (twoGPUs) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (twoGPUs) ListAndWatch(_ *api.Empty, s grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	if err := s.Send(&api.ListAndWatchResponse{Devices: []*api.Device{{ID: "g0", Health: api.Healthy}, {ID: "g1", Health: api.Healthy}}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (twoGPUs) Allocate(_ context.Context, r *api.AllocateRequest) (*api.AllocateResponse, error) {
	return &api.AllocateResponse{ContainerResponses: []*api.ContainerAllocateResponse{{
		Envs: map[string]string{"GPU": r.ContainerRequests[0].DevicesIds[0]}, Devices: []*api.DeviceSpec{{ContainerPath: "/dev/gpu", HostPath: "/dev/zero", Permissions: "r"}},
	}}}, nil
}

func TestNodeDevices(t *testing.T) {
	n := newNode(t)
	dir := filepath.Join(n.options.Dir, "device-plugins")
	n.until("the agent listens for plugins", func() bool { _, err := os.Stat(filepath.Join(dir, "kubelet.sock")); return err == nil })
	l, err := net.Listen("unix", filepath.Join(dir, "gpu.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, twoGPUs{})
	var done sync.WaitGroup
	done.Go(func() { server.Serve(l) }) //nolint:errcheck // it ends when it is stopped
	t.Cleanup(func() { server.Stop(); done.Wait() })
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, "kubelet.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := api.NewRegistrationClient(conn).Register(t.Context(), &api.RegisterRequest{Version: api.Version, Endpoint: "gpu.sock", ResourceName: "example.com/gpu"}, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	n.awaitNode("with two GPUs", func(s v1.NodeStatus) bool {
		has, gives := s.Capacity["example.com/gpu"], s.Allocatable["example.com/gpu"]
		return has.Value() == 2 && gives.Value() == 2
	})
	gpus := func(name string, count string) *v1.Pod {
		p := newPod(name, "/bin/sh", "-c", "echo $GPU; test -c /dev/gpu && echo there; sleep 1000")
		p.Spec.Containers[0].Resources.Limits = v1.ResourceList{"example.com/gpu": resource.MustParse(count)}
		return n.run(p)
	}
	n.await(gpus("first", "1"), "ready", isReady)
	n.awaitLog("first", "g0\nthere\n")
	s, _ := n.await(gpus("greedy", "2"), "refused", phaseIs(v1.PodFailed))
	want := "Pod was rejected: Allocate failed due to requested number of devices unavailable for example.com/gpu. Requested: 2, Available: 1, which is unexpected"
	if s.Reason != "UnexpectedAdmissionError" || s.Message != want {
		t.Errorf("a pod that wants too many is refused by %s: %s", s.Reason, s.Message)
	}
	n.await(gpus("second", "1"), "ready", isReady)
	n.awaitLog("second", "g1\nthere\n")
}
