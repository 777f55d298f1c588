package csi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	csispec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	storagev1 "k8s.io/api/storage/v1"
	utilversion "k8s.io/apimachinery/pkg/util/version"
)

// driver is one that is registered.
type driver struct {
	name, endpoint string
	conn           *grpc.ClientConn
	node           csispec.NodeClient
	can            map[csispec.NodeServiceCapability_RPC_Type]bool
}

// close ends the connection; it fails only if that has ended already.
func (d *driver) close() {
	d.conn.Close()
}

// Register implements registry.Handler.
func (n *Node) Register(ctx context.Context, name, endpoint string, versions []string) error {
	if err := supported(name, versions); err != nil {
		return err
	}
	d, err := connect(name, endpoint)
	if err != nil {
		return err
	}
	if err := n.introduce(ctx, d); err != nil {
		d.close()
		return err
	}
	n.mu.Lock()
	old := n.drivers[name]
	n.drivers[name] = d
	n.mu.Unlock()
	if old != nil {
		old.close()
	}
	n.Log.Info("a CSI driver is registered", "driver", name, "endpoint", endpoint)
	n.cleanUp(name)
	n.Registered()
	return nil
}

// Deregister implements registry.Handler.
func (n *Node) Deregister(ctx context.Context, name, endpoint string) {
	n.mu.Lock()
	d := n.drivers[name]
	if d == nil || d.endpoint != endpoint {
		n.mu.Unlock()
		return // another has taken its place
	}
	delete(n.drivers, name)
	n.mu.Unlock()
	d.close()
	n.Log.Info("a CSI driver is gone", "driver", name)
	if err := n.API.RemoveCSIDriver(ctx, name); err != nil {
		n.Log.Warn("a CSI driver that is gone is still in the CSINode", "driver", name, "err", err)
	}
}

// supported checks that the driver speaks version 1 of CSI.
func supported(name string, versions []string) error {
	for _, text := range versions {
		if v, err := utilversion.ParseGeneric(strings.TrimPrefix(text, "v")); err == nil && v.Major() == 1 {
			return nil
		}
	}
	return fmt.Errorf("validation failed for CSI driver %q: none of the versions specified %q are supported", name, versions)
}

func connect(name, endpoint string) (*driver, error) {
	conn, err := grpc.NewClient("unix://"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to CSI driver %s: %w", name, err)
	}
	return &driver{name: name, endpoint: endpoint, conn: conn, node: csispec.NewNodeClient(conn), can: map[csispec.NodeServiceCapability_RPC_Type]bool{}}, nil
}

// introduce asks a driver what it can, and tells the cluster that the node has it.
func (n *Node) introduce(ctx context.Context, d *driver) error {
	info, err := d.node.NodeGetInfo(ctx, &csispec.NodeGetInfoRequest{})
	if err != nil {
		return err
	}
	if info.NodeId == "" {
		return fmt.Errorf("CSI driver %s gives this node no id", d.name)
	}
	answer, err := d.node.NodeGetCapabilities(ctx, &csispec.NodeGetCapabilitiesRequest{})
	if err != nil {
		return err
	}
	for _, c := range answer.Capabilities {
		d.can[c.GetRpc().GetType()] = true
	}
	entry := storagev1.CSINodeDriver{Name: d.name, NodeID: info.NodeId, TopologyKeys: slices.Sorted(maps.Keys(info.AccessibleTopology.GetSegments()))}
	if most := info.MaxVolumesPerNode; most > 0 {
		count := int32(min(most, 1<<31-1))
		entry.Allocatable = &storagev1.VolumeNodeResources{Count: &count}
	}
	return n.API.SetCSIDriver(ctx, entry, info.AccessibleTopology.GetSegments())
}

// Introduce tells the cluster of all drivers again: the node may have been made anew.
func (n *Node) Introduce(ctx context.Context) {
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.drivers))
	n.mu.Unlock()
	for _, d := range all {
		if err := n.introduce(ctx, d); err != nil {
			n.Log.Warn("a CSI driver isn't in the CSINode", "driver", d.name, "err", err)
		}
	}
}

// driver gives a driver that is registered.
func (n *Node) driver(name string) (*driver, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.drivers[name]
	if d == nil {
		return nil, fmt.Errorf("driver name %s not found in the list of registered CSI drivers", name)
	}
	return d, nil
}
