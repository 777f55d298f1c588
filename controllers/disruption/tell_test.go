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

// told is what the controller said of pods.
func told(t *testing.T, w *controllertest.World) (all []string) {
	t.Helper()
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key.Resource == "pods" && (e.Reason == "MultiplePodDisruptionBudgets" || e.Reason == "NotDeleted") {
			all = append(all, e.Reason+": "+e.Note)
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
