package gateway

import (
	"sync"

	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/core/service/allocator"
)

// nodePorts keeps which node ports are taken. The repair loop fills it from the
// services before the server is ready.
type nodePorts struct {
	mu sync.Mutex
	allocator.Snapshottable
}

func (s *Server) nodePorts() *nodePorts { return &nodePorts{} }

func (p *nodePorts) over(a allocator.Snapshottable) allocator.Interface {
	p.Snapshottable = a
	return p
}

// Get implements rangeallocation.RangeRegistry.
func (p *nodePorts) Get() (*api.RangeAllocation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec, data := p.Snapshot()
	return &api.RangeAllocation{Range: spec, Data: data}, nil
}

// CreateOrUpdate implements rangeallocation.RangeRegistry.
func (p *nodePorts) CreateOrUpdate(r *api.RangeAllocation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Restore(r.Range, r.Data)
}
