package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"k8s.io/apimachinery/pkg/types"
	kubeletclient "k8s.io/kubernetes/pkg/kubelet/client"
)

// kubeletPort is the port in URLs to a node; the tunnel has no ports.
const kubeletPort = "10250"

// tunnels connects to nodes through the bus: the host of a URL is a node's
// name, and a connection to it is the tunnel that its agent accepts, with plain
// HTTP/1.1 inside.
type tunnels struct{ node *http.Transport }

func newTunnels(b bus.Bus) tunnels {
	return tunnels{node: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, fmt.Errorf("connect to a node: %w", err)
			}
			conn, err := b.Dial(ctx, "tunnel."+events.EncodeToken(name)+".conn")
			if err != nil {
				return nil, fmt.Errorf("connect to node %s: %w", name, err)
			}
			return conn, nil
		},
		// A tunnel is cheap to open, and an idle one would outlive its node.
		DisableKeepAlives: true,
	}}
}

// GetConnectionInfo implements kubeletclient.ConnectionInfoGetter.
func (t tunnels) GetConnectionInfo(_ context.Context, node types.NodeName) (*kubeletclient.ConnectionInfo, error) {
	return &kubeletclient.ConnectionInfo{
		Scheme: "http", Hostname: string(node), Port: kubeletPort,
		Transport: t.node, InsecureSkipTLSVerifyTransport: t.node,
	}, nil
}
