package disruption_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/projections"
)

// told is what the controller said of pods. What was said of a version that wasn't
// the newest any more is void, and nobody is told of it.
func told(t *testing.T, w *controllertest.World) (all []string) {
	t.Helper()
	for changes, err := range w.Projection.Changes(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if e := c.Event; c.Void == nil && e.Key.Resource == "pods" && (e.Reason == "MultiplePodDisruptionBudgets" || e.Reason == "NotDeleted") {
				all = append(all, e.Reason+": "+e.Note)
			}
		}
		if changes[len(changes)-1].Event.Sequence >= w.Snapshot().Position() {
			break
		}
	}
	return all
}

func TestSeveralBudgetsOfAPod(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		for _, name := range []string{"one", "two"} {
			pdb := newBudget(1, nil)
			pdb.Name = name
			w.Create(controllers.PodDisruptionBudget, pdb)
		}
		w.Create(controllers.Deployment, newDeployment(1))
		w.Advance(10 * time.Minute)
		var name string
		for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
			name = pod.Name
		}
		want := `MultiplePodDisruptionBudgets: Pod "default"/"` + name + `" matches multiple PodDisruptionBudgets.  Chose "one" arbitrarily.`
		if got := told(t, w); !slices.Equal(got, []string{want}) {
			t.Errorf("told %q", got)
		}
	})
}

func TestEvictedAndNotDeleted(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.PodDisruptionBudget, newBudget(1, nil))
		w.Create(controllers.Deployment, newDeployment(2))
		w.Advance(time.Minute)
		var name string
		for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
			name = pod.Name
		}
		w.PatchStatus(budget, `{"status":{"disruptedPods":{%q:%q}}}`, name, time.Now().UTC().Format(time.RFC3339))
		w.Advance(10 * time.Minute)
		if got := told(t, w); !slices.Equal(got, []string{"NotDeleted: Pod was expected by PDB default/web to be deleted but it wasn't"}) {
			t.Errorf("told %q", got)
		}
		if left := controllertest.Get[*policyv1.PodDisruptionBudget](w, budget).Status.DisruptedPods; len(left) > 0 {
			t.Errorf("%v are left", left)
		}
	})
}
