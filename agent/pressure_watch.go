package agent

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/pod"
)

const (
	lookAtPressure   = 10 * time.Second
	usualTransition  = 5 * time.Minute
	hardGrace        = time.Second      // as the kubelet gives
	cleanedUpWithin  = 30 * time.Second // a pod that was evicted, before the next one is
	measuredAtMost   = 10               // the part of the time, 1/n, that measuring pods' folders may take
	defaultImageRoot = "/var/lib/containerd"
)

// watchPressure looks every ten seconds whether the node is short of something,
// and evicts pods when it is, or when they exceed their limits of its disk. An
// idle node reads four files for that.
func (a *Agent) watchPressure(ctx context.Context) error {
	if a.o.Runtime != nil {
		<-ctx.Done()
		return nil
	}
	images := a.imageRoot(ctx)
	layout := eviction.Layout{ImageFs: !sameDisk(images, a.o.Dir)}
	var state eviction.State
	var measureNext time.Time
	wait := a.clock.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C():
		}
		evicted := a.relieve(ctx, &state, layout, images)
		if len(evicted) == 0 && a.clock.Now().After(measureNext) {
			begin := a.clock.Now()
			evicted = a.holdToLimits(ctx, layout)
			measureNext = a.clock.Now().Add(measuredAtMost * a.clock.Since(begin))
		}
		next := cmp.Or(a.o.Upkeep.EvictionPeriod, lookAtPressure)
		if len(evicted) > 0 {
			a.awaitEnd(ctx, evicted, cleanedUpWithin)
			next = 0
		}
		wait.Reset(next)
	}
}

// relieve looks once, and evicts one pod at most.
func (a *Agent) relieve(ctx context.Context, state *eviction.State, layout eviction.Layout, images string) []*pod.Worker {
	if len(a.thresholds) == 0 {
		return nil
	}
	o := a.observe(images)
	verdict := state.Look(a.thresholds, a.clock.Now(), o, cmp.Or(a.o.Upkeep.EvictionTransition, usualTransition))
	a.node.press(verdict.Conditions)
	if len(verdict.Starved) == 0 {
		return nil
	}
	first := verdict.Starved[0]
	a.node.tell("EvictionThresholdMet", "Attempting to reclaim "+string(first.Signal.Resource()))
	if first.Signal.Disk() && a.reclaim(ctx) && eviction.Relieved(a.thresholds, a.observe(images)) {
		return nil
	}
	active := a.evictable()
	uses, err := a.uses(ctx, active, nil)
	if err != nil {
		a.log.Warn("what pods use can't be measured", "err", err)
	}
	if uses == nil {
		return nil // whoever went now would go for nothing that is known of it
	}
	var pods []*v1.Pod
	for _, p := range active {
		pods = append(pods, p.view.Pod)
	}
	for _, p := range eviction.Rank(first.Signal, pods, uses, layout) {
		if eviction.Critical(p) {
			continue
		}
		grace := hardGrace
		if first.Grace > 0 {
			grace = min(a.o.Upkeep.EvictionMaxGrace, ownGrace(p))
		}
		message := eviction.Message(verdict.Starved, o, p, uses[string(p.UID)])
		w := active[string(p.UID)].worker
		a.log.Warn("a pod is evicted", "pod", p.Namespace+"/"+p.Name, "why", message)
		w.Evict(pod.Eviction{Reason: eviction.Reason, Message: message, Grace: grace, Disruption: true})
		return []*pod.Worker{w}
	}
	return nil
}

// holdToLimits evicts the pods that use more of the node's disk than they may.
func (a *Agent) holdToLimits(ctx context.Context, layout eviction.Layout) (evicted []*pod.Worker) {
	active := a.evictable()
	for uid, p := range active {
		if !eviction.Limited(p.view.Pod) || eviction.Critical(p.view.Pod) {
			delete(active, uid)
		}
	}
	if len(active) == 0 {
		return nil
	}
	uses, err := a.uses(ctx, active, localFolders)
	if err != nil {
		a.log.Warn("what pods use can't be measured", "err", err)
		return nil
	}
	for uid, p := range active {
		if message := eviction.Exceeded(p.view.Pod, uses[uid], layout); message != "" {
			a.log.Warn("a pod is evicted", "pod", p.view.Pod.Namespace+"/"+p.view.Pod.Name, "why", message)
			p.worker.Evict(pod.Eviction{Reason: eviction.Reason, Message: message, Grace: hardGrace})
			evicted = append(evicted, p.worker)
		}
	}
	return evicted
}

func ownGrace(p *v1.Pod) time.Duration {
	if p.Spec.TerminationGracePeriodSeconds == nil {
		return 30 * time.Second
	}
	return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
}

// observe measures all signals that can be.
func (a *Agent) observe(images string) eviction.Observations {
	out := eviction.Observations{}
	var errs []error
	add := func(s eviction.Signal, available, capacity int64, format resource.Format) {
		if capacity > 0 {
			out[s] = eviction.Observation{Available: *resource.NewQuantity(available, format), Capacity: *resource.NewQuantity(capacity, format)}
		}
	}
	if m, err := proc.Memory(); err != nil {
		errs = append(errs, err)
	} else {
		add(eviction.MemoryAvailable, m.Available, m.Total, resource.BinarySI)
	}
	if left, most, err := proc.PIDs(); err != nil {
		errs = append(errs, err)
	} else {
		add(eviction.PIDAvailable, left, most, resource.DecimalSI)
	}
	for _, d := range []struct {
		path          string
		space, inodes eviction.Signal
	}{{a.o.Dir, eviction.NodeFsAvailable, eviction.NodeFsInodesFree}, {images, eviction.ImageFsAvailable, eviction.ImageFsInodesFree}} {
		fs, err := machine.Disk(d.path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		add(d.space, fs.Available, fs.Capacity, resource.BinarySI)
		add(d.inodes, fs.InodesFree, fs.Inodes, resource.DecimalSI)
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("the node can't be measured", "err", err)
	}
	return out
}

// imageRoot is where images and containers lie.
func (a *Agent) imageRoot(ctx context.Context) string {
	if a.o.ContainerdAddress == "" {
		return a.o.Dir
	}
	if r, ok := a.runtime.(interface {
		ImageRoot(context.Context) (string, error)
	}); ok {
		if path, err := r.ImageRoot(ctx); err == nil && path != "" {
			return path
		}
	}
	return defaultImageRoot
}

func sameDisk(a, b string) bool {
	x, err := machine.Disk(a)
	if err != nil {
		return true
	}
	y, err := machine.Disk(b)
	return err != nil || x.Device == y.Device
}

// awaitEnd waits a while until pods have ended.
func (a *Agent) awaitEnd(ctx context.Context, workers []*pod.Worker, most time.Duration) {
	deadline := a.clock.NewTimer(most)
	defer deadline.Stop()
	ticker := a.clock.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := 0
		for _, w := range workers {
			if v := w.View(); v.Status == nil || !over(v.Status.Phase) {
				left++
			}
		}
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-deadline.C():
			return
		case <-ticker.C():
		}
	}
}

func over(p v1.PodPhase) bool { return p == v1.PodSucceeded || p == v1.PodFailed }

// candidate is a pod that runs, with its worker.
type candidate struct {
	worker *pod.Worker
	view   pod.View
}

// active are the pods that run or are being started, by uid.
func (a *Agent) active() map[string]candidate {
	out := map[string]candidate{}
	a.each(func(w *pod.Worker) {
		v := w.View()
		if v.Pod == nil || v.Pod.DeletionTimestamp != nil || v.Status != nil && over(v.Status.Phase) || over(v.Pod.Status.Phase) {
			return
		}
		out[string(v.Pod.UID)] = candidate{w, v}
	})
	return out
}

// evictable are the active pods without those that were evicted and aren't gone yet:
// one that can't end must not keep others from being chosen.
func (a *Agent) evictable() map[string]candidate {
	out := a.active()
	maps.DeleteFunc(out, func(_ string, c candidate) bool { return c.worker.Evicted() })
	return out
}

func (a *Agent) podVolume(uid, name string) string {
	return filepath.Join(a.podsDir(), uid, "volumes", name)
}
