package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/static"
	"github.com/reckon-project/reckon/events"
)

const mirrorAgain = 5 * time.Second // after the API couldn't be asked

// statics are the pods of the node's own files. Each has a mirror in the cluster, by which
// it is seen and reported there; the mirror follows the pod, never the other way round.
//
//	file ──► worker ──► status ──► fact about the mirror
//	           └──► API: create, delete ──► mirror ──► feed ──► its uid
type statics struct {
	mu      sync.Mutex
	wanted  map[string]*v1.Pod // by uid, as the files say; nil: not read yet
	mirrors map[string]*v1.Pod // by namespace and name, as the feed has them
	wake    chan struct{}      // something about files, pods or mirrors changed

	// Only keepStatic uses what follows, once the agent runs.
	kept    map[string]*v1.Pod  // by uid: what an earlier life of the agent ran
	running map[string]*running // by uid
}

func newStatics() *statics {
	return &statics{kept: map[string]*v1.Pod{}, running: map[string]*running{}, mirrors: map[string]*v1.Pod{}, wake: make(chan struct{}, 1)}
}

func fullName(p *v1.Pod) string { return p.Namespace + "/" + p.Name }

func (s *statics) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// seen takes in a mirror of the feed.
func (s *statics) seen(p *v1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mirrors[fullName(p)] = p
	s.poke()
}

// unseen takes in that a pod is gone from the cluster, and reports whether it was a mirror.
func (s *statics) unseen(uid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, m := range s.mirrors {
		if string(m.UID) == uid {
			delete(s.mirrors, name)
			s.poke()
			return true
		}
	}
	return false
}

// ended reports whether nothing of a worker's pod runs any more.
func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// watchStatic reads the folder of static pods whenever it changes.
func (a *Agent) watchStatic(ctx context.Context) error {
	if a.o.StaticPodDir == "" {
		a.statics.take(nil)
		<-ctx.Done()
		return nil
	}
	told := ""
	return static.Watch(ctx, a.o.StaticPodDir, a.clock, func() {
		pods, err := static.Read(a.o.StaticPodDir, a.o.Node)
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		if problem != "" && problem != told {
			a.log.Error("files of static pods can't be used", "err", err)
		}
		told = problem
		if !errors.Is(err, events.ErrUnavailable) {
			a.statics.take(pods)
		}
	})
}

// take takes in what the files say.
func (s *statics) take(pods []*v1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = map[string]*v1.Pod{}
	for _, p := range pods {
		s.wanted[string(p.UID)] = p
	}
	s.poke()
}

// keepStatic brings the static pods that run, and their mirrors, to what the files say.
func (a *Agent) keepStatic(ctx context.Context) error {
	for {
		wait := time.Duration(0)
		if a.runStatic(ctx) {
			if err := a.mirrorStatic(ctx); err != nil && ctx.Err() == nil {
				a.log.Info("the mirrors of static pods aren't as they should be", "err", err)
				wait = mirrorAgain
			}
		}
		if !a.statics.await(ctx, a.clock, wait) {
			return nil
		}
	}
}

// await waits until something changed or, if wait isn't 0, for that long. It reports whether ctx goes on.
func (s *statics) await(ctx context.Context, c clock.Clock, wait time.Duration) bool {
	var over <-chan time.Time
	if wait > 0 {
		timer := c.NewTimer(wait)
		defer timer.Stop()
		over = timer.C()
	}
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
	case <-over:
	}
	return true
}

// runStatic starts the workers of pods that are new and ends those that are gone. A pod that
// replaces one of its name waits for that one's end. It does nothing until the files were read.
func (a *Agent) runStatic(ctx context.Context) bool {
	s := a.statics
	s.mu.Lock()
	wanted, kept := maps.Clone(s.wanted), s.kept
	s.mu.Unlock()
	if wanted == nil {
		return false
	}
	s.kept = nil
	for _, uid := range slices.Sorted(maps.Keys(kept)) { // what ran before goes on, or ends
		a.startStatic(ctx, kept[uid])
	}
	busy := map[string]bool{}
	maps.DeleteFunc(s.running, func(_ string, r *running) bool { return r.ended() })
	for uid, r := range s.running {
		busy[r.namespace+"/"+r.name] = true
		if wanted[uid] == nil {
			r.worker.Remove()
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(wanted)) {
		if p := wanted[uid]; !busy[fullName(p)] {
			a.startStatic(ctx, p)
		}
	}
	return true
}

func (a *Agent) startStatic(ctx context.Context, p *v1.Pod) {
	if err := a.keepPod(keptPod{Pod: p}); err != nil {
		a.log.Error("a pod can't be kept for a restart", "pod", fullName(p), "err", err)
	}
	a.statics.running[string(p.UID)] = a.startWorker(ctx, p, feed.Origin{})
}

// mirrorStatic makes the mirrors those of the pods that run.
func (a *Agent) mirrorStatic(ctx context.Context) error {
	s := a.statics
	s.mu.Lock()
	wanted, mirrors := maps.Clone(s.wanted), maps.Clone(s.mirrors)
	s.mu.Unlock()
	var errs []error
	good := map[string]bool{}
	for _, uid := range slices.Sorted(maps.Keys(s.running)) {
		r := s.running[uid]
		name := r.namespace + "/" + r.name
		m, p := mirrors[name], wanted[uid]
		switch {
		case m != nil && m.Annotations[static.AnnotationMirror] == uid && (m.DeletionTimestamp == nil || p == nil):
			good[name] = true
			r.worker.ReportAs(string(m.UID))
		case m == nil && p != nil:
			created, err := a.createMirror(ctx, p)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			r.worker.ReportAs(string(created.UID))
			s.seen(created)
			good[name] = true
		default:
			r.worker.ReportAs("")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(mirrors)) {
		if m := mirrors[name]; !good[name] {
			if err := a.api.DeletePod(ctx, m); err != nil && !errors.Is(err, events.ErrNotFound) && !errors.Is(err, events.ErrConflict) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// createMirror shows a static pod in the cluster, owned by the node.
func (a *Agent) createMirror(ctx context.Context, p *v1.Pod) (*v1.Pod, error) {
	node, err := a.api.Node(ctx, a.o.Node)
	if err != nil {
		return nil, err
	}
	m := &v1.Pod{TypeMeta: p.TypeMeta, Spec: p.Spec}
	m.Namespace, m.Name, m.Labels, m.Annotations = p.Namespace, p.Name, p.Labels, maps.Clone(p.Annotations)
	m.Annotations[static.AnnotationMirror] = string(p.UID)
	yes := true
	m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: &yes}}
	return a.api.CreatePod(ctx, m)
}
