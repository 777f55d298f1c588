package pod

import (
	"context"
	"log/slog"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/probe"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/volume"
)

// Host is what the pods of a node share.
type Host struct {
	Node         string
	Runtime      runtime.Runtime
	Volumes      Volumes
	Objects      Objects
	Reports      Reporter
	Clock        clock.WithTickerAndDelayedExecution
	Log          *slog.Logger
	Dir          string // pods' own files: logs, /etc/hosts, termination messages; "" keeps none
	CgroupPrefix string // "" leaves the runtime's default
	DNS          DNS
	HostIPs      []string
	Allocatable  v1.ResourceList
	Room         *Room  // nil: without bounds
	Puller       Puller // nil: the runtime pulls, without credentials
	// NodeSide admits pods and gives containers what is the node's; nil: nothing.
	NodeSide NodeSide
	// SetShares gives a pod's cgroup its share of CPU; nil: there are none.
	SetShares func(path string, shares int64) error
	// SetLimits bounds what a pod's cgroup uses as a whole: µs of CPU in 100 ms, bytes; -1 is no bound.
	SetLimits func(path string, quota, memory int64) error
	// RemoveCgroup removes a pod's cgroup once it is empty; nil: there are none.
	RemoveCgroup func(ctx context.Context, path string) error
	// UnsafeSysctls are those that pods may set beside the safe ones; a pattern may end in *.
	UnsafeSysctls []string
	// Handler gives the runtime's handler that a RuntimeClass names; nil: there are none.
	Handler func(ctx context.Context, class string) (string, error)
	// OldRuntime says that the runtime is containerd 1: it ignores the policy of supplemental groups.
	OldRuntime bool
	// Pretended says that containers are: no probe and no hook leaves this process,
	// and all succeed.
	Pretended bool
	// Probes count what containers answer to probes; nil: nobody asks.
	Probes *probe.Counts
	// Settle is how long a report that nobody waits for may wait for the next one (0: 1 s).
	Settle time.Duration
}

// Volumes prepares what a pod mounts.
type Volumes interface {
	// Mount makes all of the pod's volumes ready and gives their paths by
	// volume name. It may be called again at any time and then updates them.
	Mount(ctx context.Context, pod *v1.Pod) (map[string]volume.Mounted, error)
	// Unmount takes them all away.
	Unmount(ctx context.Context, uid string) error
}

// Reporter takes what a pod's worker has to tell.
type Reporter interface {
	Report(report.Fact)
}

// DNS is what pods resolve names with.
type DNS struct {
	Servers []string
	Domain  string // "cluster.local"
}
