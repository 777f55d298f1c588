package direct

import (
	"context"
	"fmt"
	"sync"
	"time"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/typeurl/v2"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// usage remembers what containers had used when they were last asked.
type usage struct {
	mu   sync.Mutex
	last map[string]sample

	layers map[string]*runtimeapi.FilesystemUsage
}

type sample struct {
	at  time.Time
	cpu uint64 // nanoseconds
}

// rate gives nanoseconds of CPU a second since the last sample; 0 when there is none.
func (u *usage) rate(id string, now sample) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]sample{}
	}
	old, ok := u.last[id]
	u.last[id] = now
	passed := now.at.Sub(old.at)
	if !ok || passed <= 0 || now.cpu < old.cpu {
		return 0
	}
	return uint64(float64(now.cpu-old.cpu) / passed.Seconds())
}

func (u *usage) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.last, id)
	delete(u.layers, id)
}

// Stats implements runtime.Runtime.
func (r *Runtime) Stats(ctx context.Context) ([]*runtimeapi.ContainerStats, error) {
	ctx = inNamespace(ctx)
	running := r.all(runs)
	request := &tasks.MetricsRequest{}
	byID := map[string]*record{}
	for _, rec := range running {
		request.Filters = append(request.Filters, "id=="+rec.id)
		byID[rec.id] = rec
	}
	if len(running) == 0 {
		return nil, nil // no filter would ask for everything
	}
	a, err := r.daemon.TaskService().Metrics(ctx, request)
	if err != nil {
		return nil, classify(native(err), "ask for what containers use")
	}
	var out []*runtimeapi.ContainerStats
	for _, m := range a.Metrics {
		rec := byID[m.ID]
		if rec == nil || m.Data == nil {
			continue
		}
		one, err := r.readStats(rec, m)
		if err != nil {
			return nil, err
		}
		if one.WritableLayer, err = r.measureLayer(ctx, rec.id); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (r *Runtime) readStats(rec *record, m *types.Metric) (*runtimeapi.ContainerStats, error) {
	data, err := typeurl.UnmarshalAny(m.Data)
	if err != nil {
		return nil, fmt.Errorf("read what container %s uses: %w", m.ID, err)
	}
	at := m.Timestamp.AsTime()
	number := func(n uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: n} }
	cpu, memory := &runtimeapi.CpuUsage{Timestamp: at.UnixNano()}, &runtimeapi.MemoryUsage{Timestamp: at.UnixNano()}
	set := func(nanos, used, inactive, limit, rss, faults, majorFaults uint64) {
		cpu.UsageCoreNanoSeconds = number(nanos)
		cpu.UsageNanoCores = number(r.usage.rate(rec.id, sample{at, nanos}))
		memory.UsageBytes, memory.RssBytes = number(used), number(rss)
		memory.WorkingSetBytes = number(used - min(inactive, used))
		memory.PageFaults, memory.MajorPageFaults = number(faults), number(majorFaults)
		if limit > 0 && limit < unlimited {
			memory.AvailableBytes = number(limit - min(limit, memory.WorkingSetBytes.Value))
		}
	}
	switch s := data.(type) {
	case *cgroup1.Metrics:
		mem := s.GetMemory()
		set(s.GetCPU().GetUsage().GetTotal(), mem.GetUsage().GetUsage(), mem.GetTotalInactiveFile(), mem.GetUsage().GetLimit(),
			mem.GetTotalRSS(), mem.GetTotalPgFault(), mem.GetTotalPgMajFault())
	case *cgroup2.Metrics:
		mem := s.GetMemory()
		set(s.GetCPU().GetUsageUsec()*1000, mem.GetUsage(), mem.GetInactiveFile(), mem.GetUsageLimit(), mem.GetAnon(), mem.GetPgfault(), mem.GetPgmajfault())
	default:
		return nil, fmt.Errorf("what container %s uses comes as %T, which isn't known", m.ID, data)
	}
	base := rec.base()
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{Id: rec.id, Metadata: base.Metadata, Labels: base.Labels, Annotations: base.Annotations},
		Cpu:        cpu, Memory: memory,
	}, nil
}

// unlimited is about what the kernel gives for a memory limit that isn't there.
const unlimited = 1 << 62
