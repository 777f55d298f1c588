package hollow

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// uses is what a pretended container uses all the time.
type uses struct{ nanoCores, memory uint64 }

const (
	someMemory  = 32 << 20   // of a container without a limit
	leastShares = 2          // those of a container that requests no CPU
	perShare    = 1e9 / 1024 // nanocores
	leastCPU    = 1_000_000  // nanocores, of one that requests none
)

// usesOf reads what the pod's annotations say; without them a container uses half
// of the CPU that it requests, and half of its memory limit.
func usesOf(annotations map[string]string, r *cri.LinuxContainerResources) (uses, error) {
	u := uses{leastCPU, someMemory}
	if shares := r.GetCpuShares(); shares > leastShares {
		u.nanoCores = uint64(float64(shares) * perShare / 2)
	}
	if limit := r.GetMemoryLimitInBytes(); limit > 0 {
		u.memory = uint64(limit) / 2
	}
	for name, set := range map[string]func(resource.Quantity){
		annotationCPU:    func(q resource.Quantity) { u.nanoCores = uint64(q.MilliValue()) * 1_000_000 },
		annotationMemory: func(q resource.Quantity) { u.memory = uint64(q.Value()) },
	} {
		text := annotations[name]
		if text == "" {
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil || q.Sign() < 0 {
			return u, fmt.Errorf("%w: annotation %s: %q is no amount", events.ErrInvalid, name, text)
		}
		set(q)
	}
	return u, nil
}

// usesOfAdopted is what a container uses that ran before; what was refused when it
// was made can't be there.
func usesOfAdopted(s *sandbox, spec *v1.Container) uses {
	u, err := usesOf(s.item.Annotations, &cri.LinuxContainerResources{
		CpuShares:          spec.Resources.Requests.Cpu().MilliValue() * 1024 / 1000,
		MemoryLimitInBytes: spec.Resources.Limits.Memory().Value(),
	})
	if err != nil {
		return uses{}
	}
	return u
}

// Stats implements runtime.Runtime.
func (r *Runtime) Stats(context.Context) ([]*cri.ContainerStats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now().UnixNano()
	out := make([]*cri.ContainerStats, 0, len(r.containers))
	for _, c := range r.containers {
		if c.status.State != cri.ContainerState_CONTAINER_RUNNING {
			continue
		}
		used := float64(c.uses.nanoCores) * float64(now-c.status.StartedAt) / 1e9
		out = append(out, &cri.ContainerStats{
			Attributes: &cri.ContainerAttributes{Id: c.item.Id, Metadata: c.item.Metadata, Labels: c.item.Labels, Annotations: c.status.Annotations},
			Cpu:        &cri.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: &cri.UInt64Value{Value: uint64(used)}},
			Memory: &cri.MemoryUsage{Timestamp: now, WorkingSetBytes: &cri.UInt64Value{Value: c.uses.memory},
				UsageBytes: &cri.UInt64Value{Value: c.uses.memory}, RssBytes: &cri.UInt64Value{Value: c.uses.memory}},
		})
	}
	return out, nil
}
