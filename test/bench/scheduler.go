package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/scheduler"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// benchScheduler measures the scheduler with the workloads of Kubernetes'
// scheduler_perf: pods that wait when it starts, until the last one's placement is
// stored on the embedded server's disk and folded. "only" names one workload.
func benchScheduler(ctx context.Context, only string) error {
	row("workload, nodes", "%s", "pods/s (upstream's floor at 5,000 nodes, which is a ratio)")
	for _, w := range workloads {
		for _, nodes := range w.nodes {
			if only != "" && !strings.EqualFold(only, w.name) {
				continue
			}
			if err := w.run(ctx, nodes); err != nil {
				return fmt.Errorf("%s at %d nodes: %w", w.name, nodes, err)
			}
		}
	}
	return nil
}

// run measures one workload at one size.
func (w *workload) run(ctx context.Context, nodes int) error {
	s, err := newSchedulerBench(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	pods := 10_000
	if w.pods != nil {
		pods = w.pods(nodes)
	}
	if err := w.prepare(s, nodes); err != nil {
		return err
	}
	for i := range pods {
		if err := s.create("pods", w.pod(i)); err != nil {
			return err
		}
	}
	from, err := s.stored()
	if err != nil {
		return err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun, cpu := time.Now(), cpuTime()
	if err := s.schedule(); err != nil {
		return err
	}
	var churned sync.WaitGroup
	churning, quiet := context.WithCancel(s.ctx)
	if w.churn != nil {
		churned.Go(func() { w.churn(churning, s) })
	}
	took, err := s.placed(from, pods, begun)
	quiet()
	churned.Wait()
	if err != nil {
		return err
	}
	whole, cpu := time.Since(begun), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	rate := float64(pods) / whole.Seconds()
	compared := ""
	if w.floor > 0 {
		compared = fmt.Sprintf(" (%.0f, %.1f x)", w.floor, rate/w.floor)
	}
	row(fmt.Sprintf("%s, %d nodes, %d pods", w.name, nodes, pods), "%.0f pods/s%s, placed after p50 %d ms, p99 %d ms; %.0f us of CPU and %d allocations a pod, log and fold included",
		rate, compared, quantile(took, 0.5).Milliseconds(), quantile(took, 0.99).Milliseconds(),
		float64(cpu.Microseconds())/float64(pods), (after.Mallocs-before.Mallocs)/uint64(pods))
	if w.name != "SchedulingBasic" {
		return nil
	}
	return s.singles(w, nodes)
}

// singles places pods one at a time in the idle cluster.
func (s *schedulerBench) singles(w *workload, nodes int) error {
	var took []time.Duration
	for i := range 300 {
		from := s.projection.Snapshot().Position()
		begun := time.Now()
		if err := s.create("pods", w.pod(1_000_000+i)); err != nil {
			return err
		}
		one, err := s.placed(from, 1, begun)
		if err != nil {
			return err
		}
		took = append(took, one...)
	}
	slices.Sort(took)
	row(fmt.Sprintf("one pod at a time, %d nodes: created until folded as placed", nodes), "p50 %.2f ms, p99 %.2f ms (aim: 5)",
		ms(quantile(took, 0.5)), ms(quantile(took, 0.99)))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// schedulerBench is a log on disk, its projection and a scheduler.
type schedulerBench struct {
	ctx        context.Context
	cancel     context.CancelFunc
	group      sync.WaitGroup
	dir        string
	server     *server.Server
	bus        bus.Bus
	projection *projections.Projection
	mu         sync.Mutex
	started    []*bus.Pending
}

func newSchedulerBench(ctx context.Context) (*schedulerBench, error) {
	s := &schedulerBench{}
	s.ctx, s.cancel = context.WithCancel(ctx)
	var err error
	if s.dir, err = os.MkdirTemp("", "reckon-bench-"); err != nil {
		return nil, err
	}
	if s.server, err = server.Start(server.Options{Dir: s.dir, Name: "bench"}); err != nil {
		return nil, err
	}
	if s.bus, err = s.server.Connect("component:bench"); err != nil {
		return nil, err
	}
	s.projection = projections.New(s.bus.Log())
	s.group.Go(func() { s.projection.Run(s.ctx) }) //nolint:errcheck // ends with ctx
	return s, nil
}

func (s *schedulerBench) stop() {
	s.cancel()
	s.group.Wait()
	s.bus.Close()
	s.server.Shutdown()
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove the benchmark's folder:", err)
	}
}

// schedule starts a scheduler, and waits until it leads.
func (s *schedulerBench) schedule() error {
	s.group.Go(func() {
		if err := scheduler.New(scheduler.Options{Bus: s.bus, Projection: s.projection, Holder: "bench", API: deletions{s}}).Run(s.ctx); s.ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the scheduler stopped:", err)
			s.cancel()
		}
	})
	return nil
}

// create appends an object; stored waits for all of them.
func (s *schedulerBench) create(resource string, o metav1.Object) error {
	key := events.Key{Resource: resource, Namespace: o.GetNamespace(), Name: o.GetName()}
	o.SetUID(types.UID(bus.NewID()))
	o.SetCreationTimestamp(metav1.Now())
	object, err := events.EncodeObject(o.(kruntime.Object))
	if err != nil {
		return err
	}
	return s.append(&events.Event{Key: key, Type: events.Created, ContentType: events.ContentObject, Data: object})
}

func (s *schedulerBench) append(e *events.Event) error {
	e.Prefix, e.ID, e.Source, e.Time = events.PrefixDecision, bus.NewID(), "gateway", time.Now()
	p := s.bus.Log().Start(bus.Entry{Event: e})
	s.mu.Lock()
	s.started = append(s.started, p)
	full := len(s.started) >= 1000
	s.mu.Unlock()
	if full {
		_, err := s.stored()
		return err
	}
	return nil
}

// stored waits until everything appended is folded, and gives the position.
func (s *schedulerBench) stored() (uint64, error) {
	s.mu.Lock()
	started := s.started
	s.started = nil
	s.mu.Unlock()
	var last uint64
	for _, p := range started {
		sequence, err := p.Wait(s.ctx)
		if err != nil {
			return 0, err
		}
		last = max(last, sequence)
	}
	return s.projection.Snapshot().Position(), s.projection.WaitFor(s.ctx, last)
}

// placed waits until so many pods are folded as placed, and gives how long each took, in order.
func (s *schedulerBench) placed(from uint64, pods int, begun time.Time) ([]time.Duration, error) {
	took := make([]time.Duration, 0, pods)
	for changes, err := range s.projection.Changes(s.ctx, from) {
		if err != nil {
			return nil, err
		}
		now := time.Since(begun)
		for _, c := range changes {
			if c.Event.Type == events.Scheduled && c.Void == nil && c.New.Exists() {
				if pod, ok := c.New.Value.(*corev1.Pod); ok && pod.Spec.NodeName != "" && strings.HasPrefix(pod.Name, "pod-") {
					took = append(took, now)
				}
			}
		}
		if len(took) >= pods {
			return took, nil
		}
	}
	return nil, s.ctx.Err()
}

// deletions is as much of the API as a preempting scheduler needs: pods go at once.
type deletions struct{ *schedulerBench }

// RoundTrip deletes the pod of the path.
func (d deletions) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusNotFound
	if parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/"); r.Method == http.MethodDelete && len(parts) == 6 && parts[4] == "pods" {
		status = http.StatusOK
		if err := d.append(&events.Event{Key: events.Key{Resource: "pods", Namespace: parts[3], Name: parts[5]}, Type: events.Deleted}); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}
