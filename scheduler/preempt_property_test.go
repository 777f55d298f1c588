package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// TestVictims compares the victims of random clusters with all choices there are: they are of
// lower priority, their going lets the pod in, each of them is needed for that, and a budget is overdrawn
// only if no node can do without.
func TestVictims(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		number := func(label string, from, to int) int { return rapid.IntRange(from, to).Draw(r, label) }
		c := newCluster(nil)
		for _, guard := range []string{"a", "b"} {
			b := &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": guard}}}}
			if guard == "b" {
				b.Status.DisruptionsAllowed = 100
			}
			c.budgets.set(events.Key{Namespace: "default", Name: guard}, b)
		}
		on := map[string][]*corev1.Pod{}
		nodes := number("nodes", 1, 4)
		for i := range nodes {
			name := fmt.Sprint("n", i)
			c.setNode(name, parseNode(t, name, []string{fmt.Sprint("cpu=", number("cpu", 2, 6)), "memory=8Gi", fmt.Sprint("pods=", number("pods", 2, 6))}))
			for k := range number("bound", 0, 6) {
				words := []string{fmt.Sprint("cpu=", number("request", 0, 3)), fmt.Sprint("priority=", number("priority", 0, 5)), "app=" + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "app")}
				if number("port", 0, 3) == 0 {
					words = append(words, "port=80")
				}
				p := parsePod(t, fmt.Sprint("p", i, "-", k), words)
				p.UID, p.Spec.NodeName = types.UID(p.Name), name
				p.Status.StartTime = &metav1.Time{Time: time.Unix(int64(number("start", 0, 3)), 0)}
				c.setPod(p)
				on[name] = append(on[name], p)
			}
		}
		high := parsePod(t, "high", []string{fmt.Sprint("cpu=", number("wants", 1, 5)), "memory=1Gi", fmt.Sprint("priority=", number("its priority", 1, 6)), "port=80"})
		high.UID = "high"
		cl := c.classOf(high)
		if schedule(c, cl) != nil {
			return
		}
		before := fmt.Sprint(c.byName["n0"].used, c.byName["n0"].pods, len(c.byName["n0"].ports))
		chosen, message := c.findVictims(high, cl, func(*corev1.Pod) bool { return false })
		if after := fmt.Sprint(c.byName["n0"].used, c.byName["n0"].pods, len(c.byName["n0"].ports)); before != after {
			r.Fatalf("looking for victims changed the view: %s, %s before", after, before)
		}
		fitsWithout := func(name string, gone func(*corev1.Pod) bool) bool {
			fresh := newCluster(nil)
			fresh.setNode(name, c.byName[name].object)
			for _, p := range on[name] {
				if !gone(p) {
					fresh.setPod(p)
				}
			}
			return schedule(fresh, fresh.classOf(high)) != nil
		}
		lower := func(p *corev1.Pod) bool { return priorityOf(p) < priorityOf(high) }
		guarded := func(p *corev1.Pod) bool { return p.Labels["app"] == "a" }
		possible, harmless := false, false
		for name := range on {
			possible = possible || fitsWithout(name, lower)
			harmless = harmless || fitsWithout(name, func(p *corev1.Pod) bool { return lower(p) && !guarded(p) })
		}
		if chosen == nil {
			if possible {
				r.Fatalf("no victims: %s", message)
			}
			return
		}
		names := func(but int) func(*corev1.Pod) bool {
			return func(p *corev1.Pod) bool {
				i := slices.IndexFunc(chosen.victims, func(b *bound) bool { return b.pod == p })
				return i >= 0 && i != but
			}
		}
		if !fitsWithout(chosen.node.name, names(-1)) {
			r.Fatalf("it doesn't fit on %s when its victims are gone", chosen.node.name)
		}
		for i, v := range chosen.victims {
			switch {
			case !lower(v.pod):
				r.Fatalf("%s has priority %d, not below %d", v.pod.Name, priorityOf(v.pod), priorityOf(high))
			case fitsWithout(chosen.node.name, names(i)):
				r.Fatalf("%s needn't go", v.pod.Name)
			case guarded(v.pod) && harmless:
				r.Fatalf("%s must not go by its budget, and needn't", v.pod.Name)
			}
		}
	})
}

// TestPreemptionUnderFaults: on a bus that fails, with leaders that change, only pods of lower
// priority go, and no pod waits that could have others go for it.
func TestPreemptionUnderFaults(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		synctest.Test(t, func(t *testing.T) { preemptUnderFaults(t, seed) })
	})
}

func preemptUnderFaults(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	h := newHarness(t, func(b bus.Bus) bus.Bus { return &flaky{Bus: b, random: rand.New(rand.NewPCG(seed, 1))} })
	stop := h.start("one")
	for i := range 3 {
		h.do([]string{"node", fmt.Sprint("n", i), "cpu=4", "memory=8Gi"})
	}
	for i := range 24 {
		h.do([]string{"pod", fmt.Sprint("p", i), fmt.Sprint("cpu=", 1+random.IntN(3)), fmt.Sprint("priority=", random.IntN(6))})
		switch random.IntN(6) {
		case 0:
			stop()
			stop = h.start(fmt.Sprint("holder ", i))
		case 1:
			h.leave()
		case 2, 3:
			synctest.Wait()
		}
	}
	for range 30 {
		<-time.After(time.Minute) // all retries are over
		synctest.Wait()
		h.leave()
	}
	stop()
	s := h.projection.Snapshot()
	for pod := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if pod.Spec.NodeName != "" {
			continue
		}
		for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
			used := int64(0)
			for other := range s.PodsOn(n.Name) {
				if p := other.Value.(*corev1.Pod); priorityOf(p) >= priorityOf(pod) {
					used += p.Spec.Containers[0].Resources.Requests.Cpu().Value()
				}
			}
			if used+pod.Spec.Containers[0].Resources.Requests.Cpu().Value() <= 4 {
				t.Errorf("%s (priority %d) waits, and others could go for it on %s", pod.Name, priorityOf(pod), n.Name)
			}
		}
	}
	checkPreempted(t, h)
}

// checkPreempted looks at every pod that was made to go.
func checkPreempted(t *testing.T, h *harness) {
	priorities := map[types.UID]int32{}
	for c, err := range replay(t.Context(), h) {
		if err != nil {
			t.Fatal(err)
		}
		e := c.change.Event
		pod := value[*corev1.Pod](c.change.New)
		if pod != nil {
			priorities[pod.UID] = priorityOf(pod)
		}
		if e.Type != events.Preempted || c.change.Void != nil {
			continue
		}
		by, _, _ := strings.Cut(strings.TrimPrefix(e.Note, "Preempted by pod "), " ")
		if p, ok := priorities[types.UID(by)]; !ok || p <= priorityOf(pod) {
			t.Errorf("%s of priority %d had to go for one of %d", pod.Name, priorityOf(pod), p)
		}
	}
}

// TestGangsAreWhole: on a bus that fails, with leaders that change and others who bind pods, a
// gang's pods get nodes at once or not at all.
func TestGangsAreWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		synctest.Test(t, func(t *testing.T) { gangsUnderFaults(t, seed) })
	})
}

func gangsUnderFaults(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	h := newHarness(t, func(b bus.Bus) bus.Bus { return &flaky{Bus: b, random: rand.New(rand.NewPCG(seed, 1))} })
	stop := h.start("one")
	for i := range 3 {
		h.do([]string{"node", fmt.Sprint("n", i), "cpu=4", "memory=8Gi"})
	}
	const size = 3
	for i := range 18 {
		h.do([]string{"pod", fmt.Sprint("p", i), fmt.Sprint("cpu=", 1+random.IntN(2)), fmt.Sprintf("gang=g%d:%d", i%6, size), fmt.Sprint("priority=", i%2)})
		switch random.IntN(6) {
		case 0:
			stop()
			stop = h.start(fmt.Sprint("holder ", i))
		case 1:
			synctest.Wait()
		case 2: // somebody else changes one meanwhile
			h.patch(events.Key{Resource: "pods", Namespace: "default", Name: fmt.Sprint("p", random.IntN(i+1))}, events.Updated,
				map[string]any{"metadata": map[string]any{"labels": map[string]any{"seen": fmt.Sprint(i)}}})
		}
	}
	<-time.After(10 * time.Minute)
	synctest.Wait()
	stop()
	bound := map[string][]uint64{}
	for c, err := range replay(t.Context(), h) {
		if err != nil {
			t.Fatal(err)
		}
		if e := c.change.Event; e.Type == events.Scheduled && c.change.Void == nil {
			g := value[*corev1.Pod](c.change.New).Annotations[AnnotationGang]
			bound[g] = append(bound[g], e.Sequence)
		}
	}
	if len(bound) == 0 {
		t.Error("no gang was placed")
	}
	for g, at := range bound {
		if len(at) != size || at[size-1]-at[0] != size-1 {
			t.Errorf("gang %s of %d pods was placed by events %v, not by one batch", g, size, at)
		}
	}
}

// AppendBatch fails as Start does.
func (l flakyLog) AppendBatch(ctx context.Context, batch []bus.Entry) ([]uint64, error) {
	fault := l.of.draw(4)
	if fault == 0 {
		return nil, fmt.Errorf("refused by the test: %w", events.ErrUnavailable)
	}
	seqs, err := l.Log.AppendBatch(ctx, batch)
	if fault == 1 {
		return nil, fmt.Errorf("answer lost by the test: %w", events.ErrUnavailable)
	}
	return seqs, err
}
