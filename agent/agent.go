package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/api"
	"github.com/reckon-project/reckon/agent/containerd"
	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/device"
	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/image"
	"github.com/reckon-project/reckon/agent/imagegc"
	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Options say which node this is and where its things are.
type Options struct {
	Node string
	// Bus is the node's own connection (identity node:<name>).
	Bus bus.Bus
	// API reaches the Kubernetes API as the node; nil goes over Bus.
	API http.RoundTripper
	// Dir holds all state of the node; an absolute path. A Runtime that
	// pretends needs none.
	Dir string
	// ContainerdAddress is the socket of a containerd that runs; "" starts a
	// private one under Dir.
	ContainerdAddress string
	// RuntimeName is how containerd is driven: "cri" (also ""), or "direct".
	RuntimeName string
	// Logger is the command of a program that calls logger.Serve with its last
	// argument; "direct" needs it.
	Logger        []string
	CNIConfDir    string   // "": Dir/cni/net.d
	CNIBinDirs    []string // looked at before the usual places
	PodCIDR       string   // goes into the node's spec when it registers; may be empty
	ClusterDNS    []string
	ClusterDomain string   // "": cluster.local
	NodeIPs       []string // none: the machine's first address
	Labels        map[string]string
	Taints        []v1.Taint
	MaxPods       int // 0: 250
	// StaticPodDir is a folder of files of pods that the node runs by itself; "": there is none.
	StaticPodDir string
	// UnsafeSysctls are those that pods may set beside the safe ones; a pattern may end in *.
	UnsafeSysctls []string
	// Settle is how long a report that nobody waits for may wait for the next (0: 1 s).
	Settle time.Duration
	// Gather is how long every report waits for others of the same moment (0: not at all).
	Gather time.Duration

	// Upkeep is how the node looks after itself.
	Upkeep Upkeep

	// Runtime replaces containerd (agent/hollow).
	Runtime runtime.Runtime
	// Capacity replaces what the machine has.
	Capacity v1.ResourceList

	Clock clock.WithTickerAndDelayedExecution // nil: the real one
	Log   *slog.Logger                        // nil: slog.Default
}

// Agent runs one node.
type Agent struct {
	o        Options
	log      *slog.Logger
	clock    clock.WithTickerAndDelayedExecution
	layout   containerd.Layout
	api      *api.Client
	runtime  runtime.Runtime
	store    *feed.Store
	reporter *report.Reporter
	host     *pod.Host
	manager  *volume.Manager
	node     nodeState

	thresholds []eviction.Threshold
	images     *imagegc.Collector
	devices    *device.Manager
	measured   *measure.Meter
	began      chan struct{} // closed once the runtime answers

	incarnation uint64

	doomed  doomed
	statics *statics

	mu      sync.Mutex
	workers map[string]*running
}

// New checks the options; it does nothing yet.
func New(o Options) (*Agent, error) {
	if o.Node == "" || o.Bus == nil {
		return nil, fmt.Errorf("%w: an agent needs a node's name and a bus", events.ErrInvalid)
	}
	if o.Runtime == nil && !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("%w: the agent's folder must be an absolute path, not %q", events.ErrInvalid, o.Dir)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.ClusterDomain == "" {
		o.ClusterDomain = "cluster.local"
	}
	if o.MaxPods == 0 {
		o.MaxPods = 250
	}
	thresholds, err := o.Upkeep.Eviction.Parse()
	if err != nil {
		return nil, err
	}
	transport := o.API
	if transport == nil {
		transport = api.Transport(o.Bus, o.Node)
	}
	return &Agent{
		o: o, log: o.Log.With("node", o.Node), clock: o.Clock, api: api.New(transport),
		layout:  Layout(o),
		workers: map[string]*running{}, began: make(chan struct{}), doomed: newDoomed(), statics: newStatics(),
		node: nodeState{wake: make(chan struct{}, 1)}, thresholds: thresholds,
	}, nil
}

// Layout says where a node's private containerd has its files.
func Layout(o Options) containerd.Layout {
	return containerd.Layout{Dir: o.Dir, CNIConfDir: o.CNIConfDir, CNIBinDirs: o.CNIBinDirs}
}

// Run runs the node until ctx is done. Containers go on then.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.startRuntime(ctx); err != nil {
		return err
	}
	if c, ok := a.runtime.(io.Closer); ok {
		defer c.Close()
	}
	defer a.api.Close()
	var err error
	if a.incarnation, err = report.Incarnation(a.o.Dir, a.clock.Now()); err != nil {
		return err
	}
	a.reporter, err = report.New(a.o.Node, a.o.Bus.Log(), a.o.Dir, a.incarnation, a.clock, a.log, a.busIsBack)
	if err != nil {
		return err
	}
	a.reporter.Gather(a.o.Gather)
	if err := a.prepare(ctx); err != nil {
		return err
	}
	a.measured = a.meter()
	close(a.began)
	return a.supervise(ctx,
		duty{"reports", a.reporter.Run},
		duty{"registration", a.runNode},
		duty{"heartbeat", a.beat},
		duty{"feed", a.followFeed},
		duty{"events", a.followEvents},
		duty{"files of static pods", a.watchStatic},
		duty{"static pods", a.keepStatic},
		duty{"serving", a.serve},
		duty{"usage", a.tellUsage},
		duty{"containerd", a.keepContainerd},
		duty{"logs", a.rotateLogs},
		duty{"volumes", a.removeVolumes},
		duty{"drivers", a.runDrivers},
		duty{"pressure", a.watchPressure},
		duty{"garbage", a.collectGarbage},
		duty{"devices", a.runDevices},
	)
}

// startRuntime connects to containerd, starting a private one if need be.
func (a *Agent) startRuntime(ctx context.Context) error {
	if a.o.Runtime != nil {
		a.runtime = a.o.Runtime
		return nil
	}
	var client *cri.Client
	var err error
	if a.o.ContainerdAddress != "" {
		client, err = cri.Dial(a.o.ContainerdAddress)
	} else if client, err = a.layout.Start(ctx); err == nil {
		err = image.EnsurePause(ctx, client, containerd.PauseImage)
	}
	if err != nil {
		return err
	}
	a.runtime, err = a.runtimeOn(ctx, client)
	return err
}

// keepContainerd starts the private containerd again when it ended.
func (a *Agent) keepContainerd(ctx context.Context) error {
	if a.o.Runtime != nil || a.o.ContainerdAddress != "" {
		<-ctx.Done()
		return nil
	}
	ticker := a.clock.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		if a.layout.Running() {
			continue
		}
		a.log.Warn("containerd ended: starting it again")
		client, err := a.layout.Start(ctx)
		if err != nil {
			return err
		}
		if err := client.Close(); err != nil {
			return err
		}
		a.lookAtAll()
	}
}

type duty struct {
	name string
	run  func(context.Context) error
}

// supervise runs duties until ctx is done; one that fails or panics is started
// again after a while.
func (a *Agent) supervise(ctx context.Context, duties ...duty) error {
	var all sync.WaitGroup
	for _, d := range duties {
		all.Go(func() {
			for ctx.Err() == nil {
				err := protect(ctx, d.run)
				if ctx.Err() != nil {
					return
				}
				a.log.Warn("a duty of the agent ended and is started again", "duty", d.name, "err", err)
				a.pause(ctx, time.Second)
			}
		})
	}
	all.Wait()
	a.awaitWorkers()
	return ctx.Err()
}

func protect(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run(ctx)
}

func (a *Agent) pause(ctx context.Context, d time.Duration) {
	timer := a.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

// Purge stops and removes everything that the node of this folder made:
// pods, the private containerd, mounts, cgroups, and the node's files.
func Purge(ctx context.Context, o Options) error {
	if !filepath.IsAbs(o.Dir) {
		return fmt.Errorf("%w: the agent's folder must be an absolute path, not %q", events.ErrInvalid, o.Dir)
	}
	if o.ContainerdAddress != "" {
		if err := purgeKept(ctx, o); err != nil {
			return err
		}
	}
	if err := Layout(o).Purge(ctx); err != nil {
		return err
	}
	return errors.Join(containerd.Unmount(o.Dir), removeState(o.Dir))
}
