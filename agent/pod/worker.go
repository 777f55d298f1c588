package pod

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/volume"
	"github.com/reckon-project/reckon/events"
)

const (
	resyncEvery = time.Minute           // to see what no event told
	retryAfter  = 2 * time.Second       // a step that failed
	lookAgain   = 10 * time.Millisecond // for an exit that was told and CRI doesn't show yet
	mostLooks   = 200
	roomWithin  = 5 * time.Second // news of a pod's end may come after news of who takes its place
)

// Worker runs one pod. Run is its one goroutine; the other methods may be
// called from any.
type Worker struct {
	host    *Host
	uid     string
	publish *publisher
	wake    chan struct{}

	mu        sync.Mutex // guards what callers hand in
	desired   *v1.Pod
	origin    feed.Origin // of the newest change that the node has to do something for
	removed   bool        // a tombstone: the pod must end and everything of it go
	dirty     bool        // look at the runtime again
	stale     bool        // bring the volumes up to date
	ooms      map[string]bool
	owned     map[string]bool    // ids of its containers and sandboxes
	exits     map[string]int     // ids that ended, by how often they were looked at since
	interrupt context.CancelFunc // of the step under way
	eviction  *eviction          // what the node decided
	view      View               // what others may read

	// Only Run's goroutine uses what follows.
	pod        *v1.Pod
	previous   *v1.PodStatus
	containers []*container
	sandbox    *cri.PodSandboxStatus // the newest; nil: none
	sandboxes  []string              // all sandboxes of the pod
	leftovers  []string              // containers of older attempts
	config     *cri.PodSandboxConfig
	volumes    map[string]volume.Mounted
	pulls      map[string]*pullBackoff
	started    time.Time
	refused    time.Time // since when there was no room
	final      v1.PodPhase
	admitted   bool      // by the node
	evicting   *eviction // under way, or done
	reason     string
	message    string
	ended      bool
	stopping   bool             // for good: only readiness counts any more
	wanted     *v1.Pod          // as the feed has it; pod has what it was given of it
	allocated  *allocation      // of resources
	limits     *podLimits       // of its cgroup; nil: not known yet
	pending    *v1.PodCondition // of a resize that waits for room
	progress   *v1.PodCondition // of a resize that isn't complete
	resized    bool             // there was one
	accepted   bool             // the node can run it
	resetting  bool             // all containers are being removed to be started anew
	frozen     bool             // it was over before this agent started: nothing more to tell
	seen       time.Time        // when the runtime was last looked at
	reasons    []events.Step
	results    chan probeResult
	probes     sync.WaitGroup
}

// View is what others may read of a pod. It must not be modified.
type View struct {
	Pod        *v1.Pod
	Status     *v1.PodStatus
	Sandbox    string // its id; "": there is none
	Containers map[string]ContainerView
}

// ContainerView names a container's newest attempts in the runtime.
type ContainerView struct {
	ID              string
	Attempt         uint32
	Running         bool
	Previous        string // "": there is none
	PreviousAttempt uint32
}

// New makes the worker of a pod as the feed gave it, with what it answers to.
func New(host *Host, pod *v1.Pod, origin feed.Origin) *Worker {
	w := &Worker{
		host: host, uid: string(pod.UID), desired: pod, origin: origin, dirty: true,
		wake: make(chan struct{}, 1), results: make(chan probeResult, 16), ooms: map[string]bool{}, owned: map[string]bool{}, exits: map[string]int{}, pulls: map[string]*pullBackoff{},
		publish: &publisher{host: host, uid: string(pod.UID), key: events.Key{Resource: "pods", Namespace: pod.Namespace, Name: pod.Name}},
	}
	if isStatic(pod) {
		w.publish.uid = ""
	}
	w.adoptSpec(pod)
	w.previous = pod.Status.DeepCopy()
	w.resetting = resetting(&pod.Status)
	w.resized = hasTrue(pod.Status.Conditions, v1.PodResizePending) || hasTrue(pod.Status.Conditions, v1.PodResizeInProgress)
	w.frozen = pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
	return w
}

// Update hands in the pod as the feed has it now.
func (w *Worker) Update(pod *v1.Pod, origin feed.Origin) {
	w.mu.Lock()
	old := w.desired
	w.desired = pod
	if pod.DeletionTimestamp != nil && (old.DeletionTimestamp == nil || graceOf(pod) < graceOf(old)) && w.interrupt != nil {
		w.interrupt()
	}
	relevant := !sameForNode(old, pod)
	w.stale = w.stale || relevant
	if relevant {
		w.origin = origin
	}
	w.mu.Unlock()
	if relevant {
		w.Wake()
	}
}

// ReportAs says by which uid the cluster knows a pod that the node runs by itself; until
// then, and with "", nothing of it is told.
func (w *Worker) ReportAs(uid string) { w.publish.reportAs(uid) }

// Remove says that the pod is gone from the cluster: it is stopped, and
// everything of it removed; then Run returns.
func (w *Worker) Remove() {
	w.mu.Lock()
	w.removed = true
	if w.interrupt != nil {
		w.interrupt()
	}
	w.mu.Unlock()
	w.Wake()
}

// Look says that the runtime told of one of the pod's containers.
func (w *Worker) Look(id string, oom bool) {
	w.mu.Lock()
	w.dirty = true
	if oom {
		w.ooms[id] = true
	} else {
		w.exits[id] = 0
	}
	w.mu.Unlock()
	w.Wake()
}

// Refresh says that something changed that the pod's volumes or variables show.
func (w *Worker) Refresh() {
	w.mu.Lock()
	w.stale = true
	w.mu.Unlock()
	w.Wake()
}

// Again makes the worker report the pod's status even if it didn't change.
func (w *Worker) Again() {
	w.publish.again()
	w.Wake()
}

// Wake makes the worker look whether there is something to do.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run drives the pod until it was removed or ctx is done. Containers go on when
// ctx ends.
func (w *Worker) Run(ctx context.Context) {
	pctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		w.probes.Wait()
		w.publish.stop()
	}()
	for {
		next, done := w.step(ctx, pctx)
		if done || ctx.Err() != nil {
			return
		}
		timer := w.host.Clock.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case r := <-w.results:
			w.probed(ctx, r)
		case <-timer.C():
		}
		timer.Stop()
	}
}

// step does what there is to do now and says when to look again.
func (w *Worker) step(ctx, pctx context.Context) (next time.Duration, done bool) {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.adoptSpec(w.desired)
	removed := w.removed
	w.interrupt = cancel
	if w.host.Clock.Since(w.seen) >= resyncEvery {
		w.dirty, w.stale = true, true
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.interrupt = nil
		w.mu.Unlock()
	}()

	next, err := w.observe(sctx)
	if err == nil {
		if removed || w.pod.DeletionTimestamp != nil {
			w.host.Room.ends(w.pod.UID)
		}
		switch {
		case removed:
			err = w.remove(ctx)
			done = err == nil
		case w.pod.DeletionTimestamp != nil || w.ended || w.evicted():
			err = w.end(sctx)
		default:
			var wait time.Duration
			wait, err = w.advance(sctx, pctx)
			next = earliest(next, wait)
		}
	}
	if done || ctx.Err() != nil {
		return 0, done
	}
	if err != nil {
		if sctx.Err() != nil { // interrupted: the reason is in what was handed in
			return 0, false
		}
		w.fail(err)
		next = earliest(next, retryAfter)
	}
	w.report()
	return earliest(next, resyncEvery), false
}

// fail notes a step's error for the next report.
func (w *Worker) fail(err error) {
	var waiting *waitError
	if errors.As(err, &waiting) {
		return
	}
	w.host.Log.Warn("a pod can't go on", "pod", w.pod.Namespace+"/"+w.pod.Name, "err", err)
}

func (w *Worker) adoptSpec(pod *v1.Pod) {
	w.wanted = pod
	if w.allocated == nil {
		w.allocated = allocationKept(pod)
	}
	pod = w.allocated.apply(pod)
	w.pod = pod
	known := map[string]*container{}
	for _, c := range w.containers {
		known[c.spec.Name] = c
	}
	w.containers = w.containers[:0:0]
	add := func(spec *v1.Container, kind kind, statuses []v1.ContainerStatus) *container {
		c := known[spec.Name]
		if c == nil {
			c = &container{reset: resetting(&pod.Status)}
			for _, s := range statuses {
				if s.Name == spec.Name && s.ContainerID != "" {
					c.inherit = s.RestartCount + 1 // used only if the runtime forgot the container
				}
			}
		}
		c.spec, c.kind = spec, kind
		w.containers = append(w.containers, c)
		return c
	}
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		add(spec, kindOf(spec, true), pod.Status.InitContainerStatuses)
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i], regular, pod.Status.ContainerStatuses)
	}
	for i := range pod.Spec.EphemeralContainers {
		e := &pod.Spec.EphemeralContainers[i]
		spec := v1.Container(e.EphemeralContainerCommon)
		add(&spec, ephemeral, pod.Status.EphemeralContainerStatuses).target = e.TargetContainerName
	}
}

// note remembers what to say with the next report.
func (w *Worker) note(reason, note string) {
	note = strings.ToValidUTF8(note[:min(len(note), longestNote)], "")
	w.reasons = append(w.reasons, events.Step{Reason: reason, Note: note})
	w.reasons = w.reasons[max(0, len(w.reasons)-mostSteps):]
}

func (w *Worker) markDirty() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = true
}

// earliest gives the smaller of two delays of which 0 is none.
func earliest(a, b time.Duration) time.Duration {
	switch {
	case a <= 0:
		return b
	case b <= 0:
		return a
	}
	return min(a, b)
}

func graceOf(pod *v1.Pod) int64 {
	if pod.DeletionGracePeriodSeconds != nil {
		return *pod.DeletionGracePeriodSeconds
	}
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		return *pod.Spec.TerminationGracePeriodSeconds
	}
	return 30
}

// Evicted reports whether the node decided that the pod has to go.
func (w *Worker) Evicted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.eviction != nil
}

// Owns reports whether an id is of one of the pod's containers or sandboxes.
func (w *Worker) Owns(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owned[id]
}

// own remembers an id before anything can happen to what it names.
func (w *Worker) own(ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.owned[id] = true
	}
}

// View gives what others may read of the pod.
func (w *Worker) View() View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view
}
