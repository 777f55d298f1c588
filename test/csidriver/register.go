package csidriver

import (
	"context"
	"path/filepath"

	"google.golang.org/grpc"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// Registration is what a node-driver-registrar says in its socket.
type Registration struct {
	registerapi.UnimplementedRegistrationServer
	Name, Endpoint string
	Versions       []string
	// Told gets what the node answered: "" when the driver is registered.
	Told chan string
}

// Register puts a socket into a node's folder of plugins. leave takes it away.
func (d *Driver) Register(folder, endpoint string) (r *Registration, leave func(), err error) {
	r = &Registration{Name: d.Name, Endpoint: endpoint, Versions: []string{"1.0.0"}, Told: make(chan string, 16)}
	leave, err = r.Serve(filepath.Join(folder, d.Name+"-reg.sock"))
	return r, leave, err
}

// Serve answers on a socket.
func (r *Registration) Serve(socket string) (leave func(), err error) {
	pass := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		return handle(ctx, request)
	}
	return serve(socket, pass, func(s *grpc.Server) { registerapi.RegisterRegistrationServer(s, r) })
}

// GetInfo implements the registration service.
func (r *Registration) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{Type: registerapi.CSIPlugin, Name: r.Name, Endpoint: r.Endpoint, SupportedVersions: r.Versions}, nil
}

// NotifyRegistrationStatus implements the registration service.
func (r *Registration) NotifyRegistrationStatus(_ context.Context, s *registerapi.RegistrationStatus) (*registerapi.RegistrationStatusResponse, error) {
	text := s.Error
	if s.PluginRegistered {
		text = ""
	}
	select {
	case r.Told <- text:
	default: // nobody listens
	}
	return &registerapi.RegistrationStatusResponse{}, nil
}
