package hollow

import (
	"context"
	"fmt"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// UpdateResources implements runtime.Runtime: the container says that it has them.
func (r *Runtime) UpdateResources(_ context.Context, id string, resources *cri.LinuxContainerResources) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.containers[id]
	if !ok {
		return fmt.Errorf("container %s: %w", id, events.ErrNotFound)
	}
	r.change(c, func(s *cri.ContainerStatus) { s.Resources = &cri.ContainerResources{Linux: resources} })
	return nil
}
