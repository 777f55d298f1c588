package disruption_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// TestNeverViolated evicts pods from several sides at once while pods fail and
// recover, and reads the whole log afterwards: no eviction took a pod that serves
// from a budget that had none to spare.
func TestNeverViolated(t *testing.T) {
	for seed := range controllertest.Seeds(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T, w *controllertest.World) { evictRandomly(t, w, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func evictRandomly(t *testing.T, w *controllertest.World, r *rand.Rand) {
	replicas := 3 + r.IntN(8)
	w.Create(controllers.Deployment, newDeployment(int32(replicas)))
	pdb := newBudget(1+r.IntN(replicas), nil)
	if r.IntN(2) == 0 {
		pdb = newBudget(nil, fmt.Sprintf("%d%%", 10+r.IntN(60)))
	}
	if r.IntN(2) == 0 {
		always := policyv1.AlwaysAllow
		pdb.Spec.UnhealthyPodEvictionPolicy = &always
	}
	w.Create(controllers.PodDisruptionBudget, pdb)
	w.Advance(time.Minute)
	evicted := 0
	var rounds []uint64 // the position at which each began
	for range 25 {
		rounds = append(rounds, w.Snapshot().Position())
		var sides sync.WaitGroup
		var mu sync.Mutex
		all := pods(w)
		for range 2 + r.IntN(2*replicas) {
			pod := all[r.IntN(len(all))]
			sides.Go(func() {
				if w.API.Evict(context.Background(), keyOf(pod)) == nil {
					mu.Lock()
					defer mu.Unlock()
					evicted++
				}
			})
		}
		for range r.IntN(3) {
			pod := all[r.IntN(len(all))]
			is := []controllertest.State{controllertest.Ready, controllertest.Running, controllertest.Failed}[r.IntN(3)]
			sides.Go(func() {
				if err := w.Nodes.Report(context.Background(), pod, is); err != nil {
					t.Error(err)
				}
			})
		}
		sides.Wait()
		w.Advance(time.Duration(r.IntN(3000)) * time.Millisecond)
	}
	if evicted == 0 && pdb.Spec.MaxUnavailable != nil {
		t.Error("nothing was ever evicted")
	}
	checkEvictions(t, w, rounds)
}

// checkEvictions folds the log. A pod that serves is deleted by alice only while
// as many as the budget asks for stay, not counting those that failed by
// themselves in the same round: of these the budget can't know yet.
func checkEvictions(t *testing.T, w *controllertest.World, rounds []uint64) {
	t.Helper()
	objects := map[events.Key]*events.Object{}
	failed := map[events.Key]bool{}
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == events.Elected {
			continue
		}
		if len(rounds) > 0 && e.Sequence > rounds[0] {
			rounds = rounds[1:]
			clear(failed)
		}
		old := objects[e.Key]
		served := old.Exists() && serves(old)
		objects[e.Key], _ = events.Fold(old, e) // void is fine
		serves := objects[e.Key].Exists() && serves(objects[e.Key])
		switch {
		case !served || serves:
			continue
		case e.Actor != "alice":
			failed[e.Key] = true
			continue
		}
		budget := objects[budget].Value.(*policyv1.PodDisruptionBudget)
		if n := int32(countServing(objects) + len(failed)); n < budget.Status.DesiredHealthy {
			t.Fatalf("after %d (%s %s): %d pods serve, %d failed just now, %d are to", e.Sequence, e.Key, e.Type, n, len(failed), budget.Status.DesiredHealthy)
		}
	}
}

func countServing(objects map[events.Key]*events.Object) int {
	n := 0
	for _, o := range objects {
		if o.Exists() && serves(o) {
			n++
		}
	}
	return n
}

func serves(o *events.Object) bool {
	pod, ok := o.Value.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
