package agent

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/probe"
	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/agent/static"
	"github.com/reckon-project/reckon/agent/volume"
)

// running is a pod's worker and what is needed to wait for it.
type running struct {
	worker          *pod.Worker
	namespace, name string
	done            chan struct{}
}

// prepare makes what the pods share and finds what runs already.
func (a *Agent) prepare(ctx context.Context) error {
	status, err := a.runtime.Status(ctx)
	if err != nil {
		return err
	}
	if err := a.measureNode(status); err != nil {
		return err
	}
	sandboxes, err := a.runtime.List(ctx, "")
	if err != nil {
		return err
	}
	had := map[string]feed.Known{}
	if a.o.ContainerdAddress != "" {
		sandboxes = nil // there may be pods of somebody else: only those kept on disk are ours
	}
	for _, s := range sandboxes {
		had[s.Labels[runtime.LabelPodUID]] = feed.Known{}
	}
	stored, err := a.storedPods()
	if err != nil {
		return err
	}
	for uid, kept := range stored {
		if kept.Pod.Annotations[static.AnnotationSource] == "file" { // the feed has nothing to say of it
			delete(had, uid)
			a.statics.kept[uid] = kept.Pod
			continue
		}
		had[uid] = feed.Known{At: kept.At, Traceparent: kept.Origin.Traceparent}
	}
	a.store = feed.NewStore(had)
	a.host = &pod.Host{
		Node: a.o.Node, Runtime: a.runtime, Objects: a.store, Reports: a.reporter, Clock: a.clock, Log: a.log,
		DNS: pod.DNS{Servers: a.o.ClusterDNS, Domain: a.o.ClusterDomain}, HostIPs: a.node.ips, Allocatable: a.node.allocatable,
		Room: pod.NewRoom(a.node.allocatable, slices.Collect(maps.Keys(had))...), OldRuntime: isOld(status), Settle: a.o.Settle, Pretended: a.o.Runtime != nil,
	}
	if a.o.Runtime != nil {
		a.host.Volumes = noVolumes{}
		return nil
	}
	if err := a.serveVolumes(); err != nil {
		return err
	}
	a.host.Dir = a.o.Dir
	a.host.Probes = probe.NewCounts()
	a.host.Handler, a.host.UnsafeSysctls = a.api.Handler, a.o.UnsafeSysctls
	a.host.NodeSide = side{a}
	if err := errors.Join(a.prepareDevices(), a.prepareImages(ctx)); err != nil {
		return err
	}
	a.host.CgroupPrefix = a.layout.CgroupPrefix()
	a.host.SetShares, a.host.SetLimits = a.layout.SetShares, a.layout.SetLimits
	a.host.RemoveCgroup = a.layout.RemoveCgroups
	a.adopt(ctx, sandboxes, stored)
	return nil
}

func (a *Agent) podsDir() string { return filepath.Join(a.o.Dir, "pods") }

// adopt gives each pod that this node ran a worker again, as it was last known,
// so that it is looked after also while the bus is away. What runs without
// being known gets one too: it can only be removed.
func (a *Agent) adopt(ctx context.Context, sandboxes []runtime.Sandbox, stored map[string]*keptPod) {
	for _, s := range sandboxes {
		uid := s.Labels[runtime.LabelPodUID]
		if stored[uid] == nil {
			p := &v1.Pod{}
			p.UID, p.Namespace, p.Name = podUID(uid), s.Metadata.Namespace, s.Metadata.Name
			a.strays(p)
		}
	}
	for uid, kept := range stored {
		if a.statics.kept[uid] != nil {
			continue
		}
		a.startWorker(ctx, kept.Pod, kept.Origin)
	}
}

// followFeed applies the node's feed.
func (a *Agent) followFeed(ctx context.Context) error {
	prefix := "feed." + token(a.o.Node) + ".>"
	for item, err := range a.o.Bus.Feed().Watch(ctx, prefix, "feed._.>") {
		if err != nil {
			return err
		}
		change, err := a.store.Apply(item)
		if err != nil {
			a.log.Error("a message of the feed can't be used", "err", err)
			continue
		}
		a.apply(ctx, change)
	}
	return ctx.Err()
}

func (a *Agent) apply(ctx context.Context, change feed.Change) {
	for _, uid := range change.Gone {
		a.remove(ctx, uid)
	}
	if change.All {
		a.refreshAll()
	}
	if change.Namespace != "" {
		a.mu.Lock()
		for _, uid := range slices.Sorted(maps.Keys(a.workers)) {
			if r := a.workers[uid]; r.namespace == change.Namespace {
				r.worker.Refresh()
			}
		}
		a.mu.Unlock()
	}
	if change.Pod != nil {
		a.update(ctx, change)
	}
	if change.Volume != nil {
		a.doom(change.Volume)
	}
}

// update hands a pod to its worker. It is kept on disk first: what runs is
// known to the next start.
func (a *Agent) update(ctx context.Context, change feed.Change) {
	p := change.Pod
	if p.Annotations[static.AnnotationMirror] != "" {
		a.statics.seen(p)
		return
	}
	p = ofCluster(p)
	if err := a.keepPod(keptPod{At: change.Position, Origin: change.Origin, Pod: p}); err != nil {
		a.log.Error("a pod can't be kept for a restart", "pod", p.Namespace+"/"+p.Name, "err", err)
	}
	a.mu.Lock()
	r := a.workers[string(p.UID)]
	a.mu.Unlock()
	if r != nil {
		r.worker.Update(p, change.Origin)
	} else {
		a.startWorker(ctx, p, change.Origin)
	}
}

// ofCluster gives a pod of the feed as one that is no static pod, whatever its author wrote:
// static pods aren't evicted, and end when there is no file of theirs.
func ofCluster(p *v1.Pod) *v1.Pod {
	if _, claims := p.Annotations[static.AnnotationSource]; !claims {
		return p
	}
	out := *p
	out.Annotations = maps.Clone(p.Annotations)
	out.Annotations[static.AnnotationSource] = "api"
	return &out
}

func (a *Agent) startWorker(ctx context.Context, p *v1.Pod, origin feed.Origin) *running {
	uid := string(p.UID)
	r := &running{worker: pod.New(a.host, p, origin), namespace: p.Namespace, name: p.Name, done: make(chan struct{})}
	a.mu.Lock()
	a.workers[uid] = r
	a.mu.Unlock()
	go func() {
		defer a.statics.poke()
		defer close(r.done)
		for {
			err := protect(ctx, func(ctx context.Context) error { r.worker.Run(ctx); return nil })
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				break
			}
			a.log.Error("a pod's worker failed and is started again", "pod", p.Namespace+"/"+p.Name, "err", err)
			a.pause(ctx, time.Second)
		}
		if a.host.Probes != nil {
			a.host.Probes.Forget(p.Name, p.Namespace, uid)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.workers, uid)
	}()
	return r
}

// remove ends a pod that is gone from the cluster.
func (a *Agent) remove(ctx context.Context, uid string) {
	if a.statics.unseen(uid) {
		return
	}
	a.mu.Lock()
	r := a.workers[uid]
	stray := a.node.strays[uid]
	delete(a.node.strays, uid)
	a.mu.Unlock()
	if r == nil && stray != nil {
		a.startWorker(ctx, stray, feed.Origin{})
		a.mu.Lock()
		r = a.workers[uid]
		a.mu.Unlock()
	}
	if r == nil {
		a.host.Room.Leave(uid)
		return
	}
	r.worker.Remove()
}

// strays remembers a pod that runs and of which nothing else is known.
func (a *Agent) strays(p *v1.Pod) {
	if a.node.strays == nil {
		a.node.strays = map[string]*v1.Pod{}
	}
	a.node.strays[string(p.UID)] = p
}

func (a *Agent) awaitWorkers() {
	a.mu.Lock()
	var all []*running
	for _, r := range a.workers {
		all = append(all, r)
	}
	a.mu.Unlock()
	for _, r := range all {
		<-r.done
	}
}

// each calls f for all workers, always in the same order: a simulation is to
// be repeatable.
func (a *Agent) each(f func(*pod.Worker)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, uid := range slices.Sorted(maps.Keys(a.workers)) {
		f(a.workers[uid].worker)
	}
}

// busIsBack reports everything again: what was lost with a bus that forgot is told anew.
func (a *Agent) busIsBack() {
	a.node.again.Store(true)
	a.each((*pod.Worker).Again)
}

// lookAtAll makes every worker look at the runtime.
func (a *Agent) lookAtAll() { a.each(func(w *pod.Worker) { w.Look("", true) }) }

// noVolumes is for containers that are only pretended.
type noVolumes struct{}

func (noVolumes) Mount(context.Context, *v1.Pod) (map[string]volume.Mounted, error) {
	return map[string]volume.Mounted{}, nil
}
func (noVolumes) Unmount(context.Context, string) error { return nil }
