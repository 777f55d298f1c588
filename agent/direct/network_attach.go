package direct

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	gocni "github.com/containerd/go-cni"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// network gives pods their addresses by CNI.
type network struct {
	dir  string
	bins []string

	mu   sync.Mutex
	cni  gocni.CNI
	seen time.Time // when the configuration was written that cni has
}

func newNetwork(dir string, bins []string) *network { return &network{dir: dir, bins: bins} }

// load reads the configuration if it changed.
func (n *network) load() error {
	_, err := n.get()
	return err
}

func (n *network) get() (gocni.CNI, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	written, err := n.written()
	if err != nil {
		return nil, err
	}
	if n.cni != nil && written.Equal(n.seen) {
		return n.cni, nil
	}
	cni, err := gocni.New(gocni.WithPluginConfDir(n.dir), gocni.WithPluginDir(n.bins), gocni.WithMinNetworkCount(1), gocni.WithInterfacePrefix("eth"), gocni.WithDefaultConf)
	if err != nil {
		return nil, fmt.Errorf("%w: the network isn't configured: %w", events.ErrUnavailable, err)
	}
	n.cni, n.seen = cni, written
	return cni, nil
}

// written is when the newest file of the configuration was.
func (n *network) written() (time.Time, error) {
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: the network isn't configured: %w", events.ErrUnavailable, err)
	}
	info, err := os.Stat(n.dir)
	if err != nil {
		return time.Time{}, err
	}
	newest := info.ModTime()
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest, nil
}

// attach gives the namespace in dir its addresses.
func (n *network) attach(ctx context.Context, id, dir string, config *runtimeapi.PodSandboxConfig) ([]string, error) {
	cni, err := n.get()
	if err != nil {
		return nil, err
	}
	result, err := cni.Setup(ctx, id, filepath.Join(dir, pinNet), cniOptions(id, config)...)
	if err != nil {
		return nil, fmt.Errorf("attach to the network: %w", err)
	}
	var four, six []string
	if eth := result.Interfaces["eth0"]; eth != nil {
		for _, c := range eth.IPConfigs {
			if c.IP.To4() != nil {
				four = append(four, c.IP.String())
			} else if c.IP.To16() != nil && !net.IP.IsLinkLocalUnicast(c.IP) {
				six = append(six, c.IP.String())
			}
		}
	}
	if ips := append(four, six...); len(ips) > 0 {
		return ips, nil
	}
	return nil, errors.Join(errors.New("attach to the network: it gave no address"), n.detach(ctx, id, dir, config))
}

// detach takes the addresses away. It may be repeated.
func (n *network) detach(ctx context.Context, id, dir string, config *runtimeapi.PodSandboxConfig) error {
	cni, err := n.get()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, pinNet)
	if there, err := isPinned(path); err != nil {
		return err
	} else if !there {
		path = ""
	}
	if err := cni.Remove(ctx, id, path, cniOptions(id, config)...); err != nil {
		return fmt.Errorf("detach from the network: %w", err)
	}
	return nil
}

// cniOptions tells plugins about the pod, by the names that they know.
func cniOptions(id string, config *runtimeapi.PodSandboxConfig) []gocni.NamespaceOpts {
	out := []gocni.NamespaceOpts{gocni.WithLabels(map[string]string{
		"K8S_POD_NAMESPACE": config.Metadata.Namespace, "K8S_POD_NAME": config.Metadata.Name,
		"K8S_POD_INFRA_CONTAINER_ID": id, "K8S_POD_UID": config.Metadata.Uid, "IgnoreUnknown": "1",
	})}
	var ports []gocni.PortMapping
	for _, p := range config.PortMappings {
		if p.HostPort > 0 {
			ports = append(ports, gocni.PortMapping{HostPort: p.HostPort, ContainerPort: p.ContainerPort, HostIP: p.HostIp,
				Protocol: map[runtimeapi.Protocol]string{runtimeapi.Protocol_UDP: "udp", runtimeapi.Protocol_SCTP: "sctp"}[p.Protocol]})
			if last := &ports[len(ports)-1]; last.Protocol == "" {
				last.Protocol = "tcp"
			}
		}
	}
	if len(ports) > 0 {
		out = append(out, gocni.WithCapabilityPortMap(ports))
	}
	return out
}
