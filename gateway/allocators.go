package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/controlplane"
	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
	ipcontroller "k8s.io/kubernetes/pkg/registry/core/service/ipallocator/controller"
	"k8s.io/kubernetes/pkg/registry/core/service/portallocator"
	portcontroller "k8s.io/kubernetes/pkg/registry/core/service/portallocator/controller"
	netutils "k8s.io/utils/net"

	"github.com/reckon-project/reckon/gateway/store/nodeports"
)

// allocators give services their addresses (each an IPAddress object, through
// the API) and node ports (one object in the log, changed by expectation).
type allocators struct {
	primary   api.IPFamily
	addresses map[api.IPFamily]ipallocator.Interface
	ports     *portallocator.PortAllocator

	repairs []func(onFirstSuccess func(), stop chan struct{})
}

func (s *Server) newAllocators(c controlplane.CompletedConfig, client *kubernetes.Clientset) (*allocators, error) {
	a := &allocators{addresses: map[api.IPFamily]ipallocator.Interface{}}
	networking := c.ControlPlane.VersionedInformers.Networking().V1()
	ranges := []bool{netutils.IsIPv6CIDR(&c.Extra.ServiceIPRange)}
	if c.Extra.SecondaryServiceIPRange.IP != nil {
		ranges = append(ranges, netutils.IsIPv6CIDR(&c.Extra.SecondaryServiceIPRange))
	}
	for i, ipv6 := range ranges {
		one, err := ipallocator.NewMetaAllocator(client.NetworkingV1(), networking.ServiceCIDRs(), networking.IPAddresses(), ipv6, nil)
		if err != nil {
			return nil, fmt.Errorf("allocate service addresses: %w", err)
		}
		if i == 0 {
			a.primary = one.IPFamily()
		}
		a.addresses[one.IPFamily()] = one
	}
	config, err := c.ControlPlane.StorageFactory.NewConfig(api.Resource("servicenodeportallocations"), &api.RangeAllocation{})
	if err != nil {
		return nil, fmt.Errorf("allocate node ports: %w", err)
	}
	ports, taken, err := nodeports.New(c.Extra.ServiceNodePortRange, config, s.decorator)
	if err != nil {
		return nil, fmt.Errorf("allocate node ports: %w", err)
	}
	a.ports = ports

	interval := c.Extra.RepairServicesInterval
	a.repairs = append(a.repairs,
		ipcontroller.NewRepairIPAddress(interval, client, c.ControlPlane.VersionedInformers.Core().V1().Services(), networking.ServiceCIDRs(), networking.IPAddresses()).RunUntil,
		portcontroller.NewRepair(interval, client.CoreV1(), client.EventsV1(), c.Extra.ServiceNodePortRange, taken).RunUntil,
	)
	return a, nil
}

// repair runs the repair loops until ctx ends. It returns when each has
// succeeded once; the server isn't ready before that.
func (a *allocators) repair(ctx context.Context, patience time.Duration) error {
	var first sync.WaitGroup
	stop := make(chan struct{})
	for _, run := range a.repairs {
		first.Add(1)
		go run(first.Done, stop)
	}
	context.AfterFunc(ctx, func() { close(stop) })
	done := make(chan struct{})
	go func() {
		first.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("the addresses and ports of services could not be checked in time")
	}
}
