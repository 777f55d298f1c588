package cri

import (
	"context"
	"fmt"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// Namespace is containerd's namespace that CRI uses.
const Namespace = "k8s.io"

const maxMessage = 16 << 20

// Client is a runtime.Runtime on one containerd.
type Client struct {
	conn    *grpc.ClientConn
	runtime runtimeapi.RuntimeServiceClient
	images  runtimeapi.ImageServiceClient
	daemon  *containerd.Client
}

var _ runtime.Runtime = (*Client)(nil)

// Dial connects to containerd at a unix socket's path. It doesn't wait for an
// answer: Status does.
func Dial(address string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: reconnect}))
	if err != nil {
		return nil, fmt.Errorf("dial containerd at %s: %w", address, err)
	}
	daemon, err := containerd.NewWithConn(conn, containerd.WithDefaultNamespace(Namespace))
	if err != nil {
		return nil, fmt.Errorf("dial containerd at %s: %w", address, err)
	}
	return &Client{
		conn:    conn,
		runtime: runtimeapi.NewRuntimeServiceClient(conn),
		images:  runtimeapi.NewImageServiceClient(conn),
		daemon:  daemon,
	}, nil
}

// Daemon is the same connection for what CRI doesn't offer.
func (c *Client) Daemon() *containerd.Client { return c.daemon }

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Status implements runtime.Runtime.
func (c *Client) Status(ctx context.Context) (runtime.Status, error) {
	version, err := c.runtime.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		return runtime.Status{}, classify(err, "ask for containerd's version")
	}
	r, err := c.runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return runtime.Status{}, classify(err, "ask for containerd's status")
	}
	out := runtime.Status{Name: version.RuntimeName, Version: version.RuntimeVersion}
	for _, condition := range r.GetStatus().GetConditions() {
		switch condition.Type {
		case runtimeapi.RuntimeReady:
			out.RuntimeReady = condition.Status
		case runtimeapi.NetworkReady:
			out.NetworkReady = condition.Status
		}
		if !condition.Status {
			out.Message = condition.Message
		}
	}
	return out, nil
}

// classify wraps a gRPC error with the project's classes.
func classify(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch s.Code() {
	case codes.NotFound:
		return fmt.Errorf("%s: %w: %s", doing, events.ErrNotFound, s.Message())
	case codes.AlreadyExists:
		return fmt.Errorf("%s: %w: %s", doing, events.ErrExists, s.Message())
	case codes.InvalidArgument:
		return fmt.Errorf("%s: %w: %s", doing, events.ErrInvalid, s.Message())
	case codes.Unavailable:
		return fmt.Errorf("%s: %w: %s", doing, events.ErrUnavailable, s.Message())
	case codes.DeadlineExceeded:
		return fmt.Errorf("%s: %w: %s", doing, context.DeadlineExceeded, s.Message())
	case codes.Canceled:
		return fmt.Errorf("%s: %w", doing, context.Canceled)
	}
	return fmt.Errorf("%s: %s", doing, s.Message())
}
