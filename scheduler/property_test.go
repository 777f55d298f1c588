package scheduler

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"pgregory.net/rapid"
)

// runsOn is the dumb twin of all filters: it looks at everything anew, and says why not.
// Room that is kept for others can be left to them.
func runsOn(s *projections.Snapshot, pod *corev1.Pod, n *corev1.Node, kept bool) string {
	tolerated := func(t corev1.Taint) bool {
		for _, o := range pod.Spec.Tolerations {
			if (o.Key == "" || o.Key == t.Key) && (o.Operator == corev1.TolerationOpExists || o.Value == t.Value) && (o.Effect == "" || o.Effect == t.Effect) {
				return true
			}
		}
		return false
	}
	if n.Spec.Unschedulable && !tolerated(corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return "cordoned"
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(t) {
			return "tainted"
		}
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(n); !ok || err != nil {
		return "not selected"
	}
	used := helpers.PodRequests(pod, helpers.PodResourcesOptions{})
	count := 1
	for other := range projections.List[*corev1.Pod](s, "", "pods", "") {
		awaited := kept && other.Spec.NodeName == "" && other.Status.NominatedNodeName == n.Name && priorityOf(other) >= priorityOf(pod)
		if other.Spec.NodeName != n.Name && !awaited || other.Status.Phase == corev1.PodSucceeded || other.UID == pod.UID {
			continue
		}
		count++
		for name, q := range helpers.PodRequests(other, helpers.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
		for _, a := range pod.Spec.Containers[0].Ports {
			for _, b := range other.Spec.Containers[0].Ports {
				if a.HostPort == b.HostPort {
					return "port taken"
				}
			}
		}
	}
	_, apart := required(pod)
	if why := naiveOf(s, pod).keptApart(pod, n, apart); why != "" {
		return why
	}
	if max := n.Status.Allocatable[corev1.ResourcePods]; int64(count) > max.Value() {
		return "too many pods"
	}
	for name, q := range helpers.PodRequests(pod, helpers.PodResourcesOptions{}) {
		sum, have := used[name], n.Status.Allocatable[name]
		if !q.IsZero() && sum.Cmp(have) > 0 {
			return "insufficient " + string(name)
		}
	}
	return ""
}

// TestNeverInfeasible runs random stories on an unreliable bus: each placement
// must have been possible at the position where it was folded, and at the end no pod waits that fits.
func TestNeverInfeasible(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		script := story(r)
		faults := rapid.Uint64().Draw(r, "faults")
		synctest.Test(t, func(t *testing.T) { tell(t, script, faults) })
	})
}

func story(r *rapid.T) [][]string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(r, label) }
	var script [][]string
	nodes, pods := 0, 0
	for range rapid.IntRange(5, 40).Draw(r, "steps") {
		switch pick("step", "pod", "pod", "pod", "pod", "pod", "node", "node", "delete", "finish", "cordon", "uncordon", "drop", "restart") {
		case "node":
			w := []string{"node", fmt.Sprintf("n%d", nodes), "cpu=" + pick("cpu", "1", "2", "4"), "memory=" + pick("memory", "1Gi", "4Gi"), "pods=" + pick("pods", "2", "5", "110")}
			nodes++
			for _, extra := range []string{"taint=a:NoSchedule", "taint=b:PreferNoSchedule", "label=disk:ssd", "zone=z", "x.io/gpu=2"} {
				if rapid.IntRange(0, 3).Draw(r, extra) == 0 {
					w = append(w, extra)
				}
			}
			script = append(script, w)
		case "pod":
			w := []string{"pod", fmt.Sprintf("p%d", pods), "cpu=" + pick("cpu", "0", "250m", "500m", "1"), "memory=" + pick("memory", "0", "256Mi", "1Gi")}
			pods++
			for _, extra := range []string{"tolerate=a", "select=disk:ssd", "prefer=disk:ssd", "port=80", "x.io/gpu=1", "owner=o", "node=n1", "init=1", "priority=5", "app=x", "apart=app:x@host", "apart=app:x@zone"} {
				if rapid.IntRange(0, 5).Draw(r, extra) == 0 {
					w = append(w, extra)
				}
			}
			script = append(script, w)
		case "delete":
			script = append(script, []string{"delete", fmt.Sprintf("p%d", rapid.IntRange(0, pods).Draw(r, "which"))})
		case "finish":
			script = append(script, []string{"finish", fmt.Sprintf("p%d", rapid.IntRange(0, pods).Draw(r, "which"))})
		case "restart":
			script = append(script, []string{"restart", ""})
		default:
			script = append(script, []string{pick("verb", "cordon", "uncordon", "drop"), fmt.Sprintf("n%d", rapid.IntRange(0, nodes).Draw(r, "which"))})
		}
	}
	return script
}

func tell(t *testing.T, script [][]string, seed uint64) {
	h := newHarness(t, func(b bus.Bus) bus.Bus { return &flaky{Bus: b, random: rand.New(rand.NewPCG(seed, 1))} })
	stop := h.start("one")
	for i, words := range script {
		s := h.projection.Snapshot()
		switch words[0] {
		case "restart":
			stop()
			stop = h.start(fmt.Sprint("holder ", i))
		case "delete", "finish":
			pod := h.pod(words[1])
			if pod == nil || (words[0] == "finish" && (pod.Spec.NodeName == "" || pod.Status.Phase != "")) {
				continue
			}
			h.do(words)
		case "cordon", "uncordon", "drop":
			if s.Get(events.Key{Resource: "nodes", Name: words[1]}) == nil {
				continue
			}
			h.do(words)
		default:
			h.do(words)
		}
		if i%3 == 0 {
			synctest.Wait()
		}
	}
	for range 10 {
		time.Sleep(time.Minute) // in the bubble: all retries are over
		synctest.Wait()
		h.leave()
	}
	synctest.Wait()
	stop()
	check(t, h)
}

// check folds the log again, one event at a time, beside the dumb twin.
func check(t *testing.T, h *harness) {
	s := h.projection.Snapshot()
	for pod := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if pod.Spec.NodeName != "" {
			continue
		}
		for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
			if runsOn(s, pod, n, true) == "" {
				t.Errorf("%s waits, and fits on %s", pod.Name, n.Name)
			}
		}
	}
	placed := 0
	for c, err := range replay(t.Context(), h) {
		if err != nil {
			t.Fatal(err)
		}
		if c.change.Event.Type != events.Scheduled || c.change.Void != nil {
			continue
		}
		placed++
		pod := c.change.New.Value.(*corev1.Pod)
		n, ok := projections.Get[*corev1.Node](c.seen, events.Key{Resource: "nodes", Name: pod.Spec.NodeName})
		if !ok {
			continue // it was dropped meanwhile
		}
		if why := runsOn(c.seen, pod, n, false); why != "" && !strings.HasPrefix(why, "cordoned") {
			t.Errorf("%s was placed on %s: %s", pod.Name, n.Name, why)
		}
		if why := c.change.Event.Why; len(why) > 1024 {
			t.Errorf("ce-why has %d bytes", len(why))
		}
	}
}

// folded change with the snapshot just before it.
type step struct {
	change projections.Change
	seen   *projections.Snapshot
}

// replay yields each change with the state at the position before it.
func replay(ctx context.Context, h *harness) func(func(step, error) bool) {
	return func(yield func(step, error) bool) {
		var entries []*events.Event
		for e, err := range h.bus.Log().Read(ctx, 1) {
			if err != nil {
				yield(step{}, err)
				return
			}
			entries = append(entries, e)
		}
		one := newHarness(h.t, nil)
		changes := one.projection.Changes(ctx, 0)
		before := one.projection.Snapshot()
		i := 0
		feed := func() error {
			e := *entries[i]
			e.Sequence = 0
			_, err := one.bus.Log().Append(ctx, bus.Entry{Event: &e})
			return err
		}
		if len(entries) == 0 {
			return
		}
		if err := feed(); err != nil {
			yield(step{}, err)
			return
		}
		for batch, err := range changes {
			for _, c := range batch {
				if !yield(step{c, before}, err) {
					return
				}
			}
			before = one.projection.Snapshot()
			if i += len(batch); i >= len(entries) {
				return
			}
			if err := feed(); err != nil {
				yield(step{}, err)
				return
			}
		}
	}
}

// flaky is a bus whose log sometimes fails the scheduler's appends, before or after they are stored.
type flaky struct {
	bus.Bus
	mu     sync.Mutex
	random *rand.Rand
}

func (f *flaky) Log() bus.Log { return flakyLog{f.Bus.Log(), f} }

func (f *flaky) draw(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

type flakyLog struct {
	bus.Log
	of *flaky
}

func (l flakyLog) Start(e bus.Entry) *bus.Pending {
	p, complete := bus.NewPending()
	fault := l.of.draw(8)
	if fault == 0 {
		complete(0, fmt.Errorf("refused by the test: %w", events.ErrUnavailable))
		return p
	}
	seq, err := l.Append(context.Background(), e)
	if fault == 1 {
		complete(0, fmt.Errorf("answer lost by the test: %w", events.ErrUnavailable))
		return p
	}
	complete(seq, err)
	return p
}

// TestClassesAgreeWithAFreshLook compares verdicts kept up to date with those of
// a cluster built anew, after random changes.
func TestClassesAgreeWithAFreshLook(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		script := story(r)
		kept := newCluster(nil)
		var pods []*corev1.Pod
		nodes := map[string]*corev1.Node{}
		bound := map[string]*corev1.Pod{}
		for _, w := range script {
			switch w[0] {
			case "node":
				nodes[w[1]] = parseNode(t, w[1], w[2:])
				kept.setNode(w[1], nodes[w[1]])
			case "pod":
				p := parsePod(t, w[1], w[2:])
				p.UID = types.UID(w[1])
				pods = append(pods, p)
				if n := schedule(kept, kept.classOf(p)); n != nil {
					p = p.DeepCopy()
					p.Spec.NodeName = n.name
					bound[w[1]] = p
					kept.setPod(p)
				}
			case "delete", "finish":
				kept.removePod(types.UID(w[1]))
				delete(bound, w[1])
			case "drop":
				delete(nodes, w[1])
				kept.setNode(w[1], nil)
			}
		}
		fresh := newCluster(nil)
		for _, name := range slices.Sorted(maps.Keys(nodes)) {
			fresh.setNode(name, nodes[name])
		}
		for _, name := range slices.Sorted(maps.Keys(bound)) {
			fresh.setPod(bound[name])
		}
		for _, p := range pods {
			a, b := kept.classOf(p), fresh.classOf(p)
			schedule(kept, a)
			schedule(fresh, b)
			if a.feasible != b.feasible || a.refused != b.refused {
				r.Fatalf("%s: kept %d feasible, refused %v; fresh %d, %v", p.Name, a.feasible, a.refused, b.feasible, b.refused)
			}
			for i, v := range a.verdicts {
				if v.by != fits {
					continue
				}
				n := fresh.byName[kept.nodes[i].name]
				if w := b.verdicts[n.index]; w.score != v.score || w.by != v.by {
					r.Fatalf("%s on %s: kept %+v, fresh %+v", p.Name, n.name, v, w)
				}
			}
		}
	})
}
