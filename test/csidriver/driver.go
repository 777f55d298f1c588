package csidriver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
)

// Options shape a driver.
type Options struct {
	Name, Dir, NodeID string
	MaxVolumes        int64
	Topology          map[string]string
	// MountGroup has the driver see to a pod's group itself.
	MountGroup bool
	// Attached has it refuse to stage a volume without what ControllerPublishVolume said of it.
	Attached bool
}

// Driver is the three services of CSI.
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	Options

	mu      sync.Mutex
	volumes map[string]*volume
	calls   []Call
	fail    map[string]error
}

// Call is one that was made.
type Call struct {
	Method string // NodePublishVolume
	// Request is what was asked.
	Request any
}

// New makes a driver that has the volumes of its folder.
func New(o Options) (*Driver, error) {
	d := &Driver{Options: o, fail: map[string]error{}}
	var err error
	d.volumes, err = load(o.Dir)
	return d, err
}

// Serve answers on a socket until stop is called, which waits for the calls under way.
func (d *Driver) Serve(socket string) (stop func(), err error) {
	return serve(socket, d.note, func(s *grpc.Server) {
		csi.RegisterIdentityServer(s, d)
		csi.RegisterControllerServer(s, d)
		csi.RegisterNodeServer(s, d)
	})
}

func serve(socket string, note grpc.UnaryServerInterceptor, register func(*grpc.Server)) (func(), error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", socket, err)
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(note))
	register(s)
	var all sync.WaitGroup
	all.Go(func() { _ = s.Serve(l) }) // it ends with stop
	return func() { s.GracefulStop(); all.Wait() }, nil
}

// note writes down a call, and has it fail if that was asked for.
func (d *Driver) note(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := filepath.Base(info.FullMethod)
	d.mu.Lock()
	d.calls = append(d.calls, Call{method, request})
	err := d.fail[method]
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

// Calls gives the calls of some methods so far (none named: all).
func (d *Driver) Calls(methods ...string) []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Call
	for _, c := range d.calls {
		if len(methods) == 0 || slices.Contains(methods, c.Method) {
			out = append(out, c)
		}
	}
	return out
}

// Fail has a method fail from now on (nil: not any more).
func (d *Driver) Fail(method string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.fail, method)
		return
	}
	d.fail[method] = err
}
