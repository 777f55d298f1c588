package daemonset_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// TestLimitsHold rolls random templates out over pods that fail at random, at the
// beginning or later, and reads the whole log afterwards: what the controller did
// never left more nodes unserved than maxUnavailable, nor had more pods beside
// others than maxSurge.
func TestLimitsHold(t *testing.T) {
	for seed := range controllertest.Seeds(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			nodes := 2 + r.IntN(6)
			run(t, nodes, func(t *testing.T, w *controllertest.World) { rollRandomly(t, w, r, nodes) })
		})
	}
}

func rollRandomly(t *testing.T, w *controllertest.World, r *rand.Rand, nodes int) {
	surge, unavailable := r.IntN(3), 0
	if surge == 0 {
		unavailable = 1 + r.IntN(nodes)
	}
	ds := newSet("log:0")
	ds.Spec.UpdateStrategy = rolling(surge, unavailable)
	w.Create(controllers.DaemonSet, ds)
	w.Advance(time.Minute)
	fate := rand.New(rand.NewPCG(r.Uint64(), 2))
	w.Nodes.Become(func(*corev1.Pod) controllertest.State {
		return []controllertest.State{controllertest.Ready, controllertest.Ready, controllertest.Running, controllertest.Failed}[fate.IntN(4)]
	})
	var rounds []uint64 // the position at which each began
	for range 30 {
		rounds = append(rounds, w.Snapshot().Position())
		if r.IntN(3) == 0 {
			setImage(w, fmt.Sprintf("log:%d", r.IntN(3)))
		}
		for o := range w.Snapshot().List("", "pods", "") {
			if pod := o.Value.(*corev1.Pod); r.IntN(6) == 0 && pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				is := []controllertest.State{controllertest.Ready, controllertest.Ready, controllertest.Running, controllertest.Failed}[r.IntN(4)]
				if err := w.Nodes.Report(context.Background(), pod, is); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Advance(time.Duration(1+r.IntN(10000)) * time.Millisecond)
	}
	w.Nodes.Become(nil)
	setImage(w, "log:last")
	w.Advance(20 * time.Minute)
	if s := controllertest.Get[*appsv1.DaemonSet](w, key).Status; int(s.UpdatedNumberScheduled) != nodes || int(s.NumberAvailable) != nodes {
		t.Errorf("after all, the status is %+v", s)
	}
	checkLimits(t, w, rounds, nodes, surge, unavailable)
}

// watcher follows the pods of the log.
type watcher struct {
	pods map[events.Key]*events.Object
	// By node, since the round began: the controller can't know of these yet.
	failed, recovered map[string]bool
}

func checkLimits(t *testing.T, w *controllertest.World, rounds []uint64, nodes, surge, unavailable int) {
	t.Helper()
	is := watcher{map[events.Key]*events.Object{}, map[string]bool{}, map[string]bool{}}
	first := rounds[0]
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key.Resource != "pods" || e.Type == events.Elected {
			continue
		}
		for len(rounds) > 0 && e.Sequence > rounds[0] {
			rounds = rounds[1:]
			clear(is.failed)
			clear(is.recovered)
		}
		old := is.pods[e.Key]
		now, _ := events.Fold(old, e) // void is fine
		is.pods[e.Key] = now
		node := nodeOf(old, now)
		served, serves := serving(old), serving(now)
		ours := e.Actor == "system:serviceaccount:kube-system:daemon-set-controller"
		switch {
		case e.Sequence <= first:
		case e.Type == events.Created:
			if n := is.active(node); n > 1+min(surge, 1) {
				t.Fatalf("after %d: %d pods on %s", e.Sequence, n, node)
			}
			if n := is.surging(); is.served(node) && !is.recovered[node] && n > surge+len(is.recovered) {
				t.Fatalf("after %d: %d pods beside others that serve, at most %d", e.Sequence, n, surge)
			}
		case served && !serves && !ours:
			is.failed[node] = true
		case !served && serves:
			is.recovered[node] = true
		case served && !serves && is.recovered[node]: // it was to be replaced because it didn't serve
		case served && !serves && surge > 0:
			if !is.served(node) && !is.failed[node] {
				t.Fatalf("after %d: nothing serves on %s", e.Sequence, node)
			}
		case served && !serves:
			if n := nodes - is.serving() - len(is.failed); n > unavailable {
				t.Fatalf("after %d: %d nodes are not served, at most %d", e.Sequence, n, unavailable)
			}
		}
	}
}

// nodeOf is the node that a pod is for.
func nodeOf(versions ...*events.Object) string {
	for _, o := range versions {
		if o.Exists() {
			a := o.Value.(*corev1.Pod).Spec.Affinity.NodeAffinity
			return a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
		}
	}
	return ""
}

func serving(o *events.Object) bool {
	if !active(o) {
		return false
	}
	for _, c := range o.Value.(*corev1.Pod).Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// active reports a pod that neither has ended nor is to end.
func active(o *events.Object) bool {
	if !o.Exists() {
		return false
	}
	pod := o.Value.(*corev1.Pod)
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodFailed
}

func (w watcher) count(node string, is func(*events.Object) bool) (n int) {
	for _, o := range w.pods {
		if is(o) && nodeOf(o) == node {
			n++
		}
	}
	return n
}

func (w watcher) active(node string) int  { return w.count(node, active) }
func (w watcher) served(node string) bool { return w.count(node, serving) > 0 }

// byNode counts nodes.
func (w watcher) byNode(is func(node string) bool) (n int) {
	seen := map[string]bool{}
	for _, o := range w.pods {
		if node := nodeOf(o); node != "" && !seen[node] {
			seen[node] = true
			if is(node) {
				n++
			}
		}
	}
	return n
}

func (w watcher) serving() int { return w.byNode(w.served) }

// surging counts nodes with one pod that serves and one that doesn't.
func (w watcher) surging() int {
	return w.byNode(func(node string) bool { return w.active(node) == 2 && w.count(node, serving) == 1 })
}
