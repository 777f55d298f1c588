package measure

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/runtime"
)

// shortest is the least time that a rate is taken over.
const shortest = 5 * time.Second

// Source is what a Meter needs of a runtime.
type Source interface {
	Stats(ctx context.Context) ([]*cri.ContainerStats, error)
	ContainerStatus(ctx context.Context, id string) (*cri.ContainerStatus, error)
}

// Meter measures one node. Its methods may be called at once.
type Meter struct {
	Runtime Source
	// Machine reads the machine's counters; nil: the node uses what its containers use.
	Machine func() (Machine, error)
	Clock   clock.PassiveClock

	mu         sync.Mutex
	machine    rate
	containers map[string]*counter // by id
}

// Sample is what was seen at one moment.
type Sample struct {
	Time       time.Time
	Machine    *Machine // nil: not measured
	CPU        *Rate    // of the node; nil: not known yet
	Containers []Container
}

// Container is one container that runs.
type Container struct {
	PodUID, PodNamespace, PodName string

	Name, ID string
	Started  time.Time
	Stats    *cri.ContainerStats
	CPU      *Rate // nil: not known yet
}

// Rate is the use of CPU over a time.
type Rate struct {
	NanoCores uint64
	Window    time.Duration
}

// counter is what is remembered of a container.
type counter struct {
	started time.Time
	rate    rate
}

// Sample measures. Containers are in the order of pod and name.
func (m *Meter) Sample(ctx context.Context) (*Sample, error) {
	stats, err := m.Runtime.Stats(ctx)
	if err != nil {
		return nil, err
	}
	s := &Sample{Time: m.Clock.Now()}
	if m.Machine != nil {
		machine, err := m.Machine()
		if err != nil {
			return nil, err
		}
		s.Machine = &machine
	}
	started := m.started(ctx, stats)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Machine != nil {
		s.CPU = m.machine.add(point{s.Time, s.Machine.CPU})
	}
	m.keep(started)
	for _, c := range stats {
		have := m.containers[c.GetAttributes().GetId()]
		cpu := c.GetCpu()
		if have == nil || cpu.GetUsageCoreNanoSeconds() == nil {
			continue // it doesn't run
		}
		l := c.Attributes.Labels
		s.Containers = append(s.Containers, Container{
			PodUID: l[runtime.LabelPodUID], PodNamespace: l[runtime.LabelPodNamespace], PodName: l[runtime.LabelPodName],
			Name: c.Attributes.GetMetadata().GetName(), ID: c.Attributes.Id, Started: have.started, Stats: c,
			CPU: have.rate.add(point{time.Unix(0, cpu.Timestamp), cpu.UsageCoreNanoSeconds.Value}),
		})
	}
	slices.SortFunc(s.Containers, func(a, b Container) int {
		for _, order := range []int{strings.Compare(a.PodNamespace, b.PodNamespace), strings.Compare(a.PodName, b.PodName), strings.Compare(a.PodUID, b.PodUID)} {
			if order != 0 {
				return order
			}
		}
		return strings.Compare(a.Name, b.Name)
	})
	return s, nil
}

// started gives since when each of the containers that run does. A container
// that wasn't seen before is looked at once.
func (m *Meter) started(ctx context.Context, stats []*cri.ContainerStats) map[string]time.Time {
	out := map[string]time.Time{}
	m.mu.Lock()
	for id, c := range m.containers {
		out[id] = c.started
	}
	m.mu.Unlock()
	now := map[string]time.Time{}
	for _, c := range stats {
		id := c.GetAttributes().GetId()
		at, seen := out[id]
		if !seen {
			status, err := m.Runtime.ContainerStatus(ctx, id)
			if err != nil || status.State != cri.ContainerState_CONTAINER_RUNNING {
				continue // it ended meanwhile
			}
			at = time.Unix(0, status.StartedAt)
		}
		now[id] = at
	}
	return now
}

// keep remembers exactly the containers given. m.mu is held.
func (m *Meter) keep(started map[string]time.Time) {
	next := make(map[string]*counter, len(started))
	for id, at := range started {
		if have := m.containers[id]; have != nil {
			next[id] = have
		} else {
			next[id] = &counter{started: at, rate: rate{older: &point{at, 0}}}
		}
	}
	m.containers = next
}
