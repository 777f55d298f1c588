package probe

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/events"
)

// Target is the container that a handler is aimed at.
type Target struct {
	PodIP     string
	Container *v1.Container
	// Exec runs a command in the container.
	Exec func(ctx context.Context, command []string, timeout time.Duration) (output []byte, exitCode int, err error)
}

// NewCheck makes the check that a probe's handler describes.
func NewCheck(p *v1.Probe, t Target) (Check, error) {
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	switch {
	case p.Exec != nil:
		return func(ctx context.Context) error { return checkExec(ctx, p.Exec, t, timeout) }, nil
	case p.HTTPGet != nil:
		return func(ctx context.Context) error { return checkHTTP(ctx, p.HTTPGet, t) }, nil
	case p.TCPSocket != nil:
		return func(ctx context.Context) error { return checkTCP(ctx, p.TCPSocket, t) }, nil
	case p.GRPC != nil:
		return func(ctx context.Context) error { return checkGRPC(ctx, p.GRPC, t) }, nil
	}
	return nil, fmt.Errorf("%w: the probe of container %s has no handler", events.ErrInvalid, t.Container.Name)
}

// Port gives the number of a port that a handler names.
func (t Target) Port(p intstr.IntOrString) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, c := range t.Container.Ports {
		if c.Name == p.StrVal {
			return int(c.ContainerPort), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("%w: container %s has no port named %q", events.ErrInvalid, t.Container.Name, p.StrVal)
}

func (t Target) address(host string, port intstr.IntOrString) (string, error) {
	n, err := t.Port(port)
	if err != nil {
		return "", err
	}
	if host == "" {
		host = t.PodIP
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}
