package disruption_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/disruption"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var (
	budget = controllers.PodDisruptionBudget.Key("default", "web")
	app    = map[string]string{"app": "web"}
)

func run(t *testing.T, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(disruption.New(), deployment.New(), replicaset.New(), podgc.New())
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Schedule("n1")
		f(t, w)
	})
}

func newDeployment(replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		},
	}
}

func newBudget(least, most any) *policyv1.PodDisruptionBudget {
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	pdb.Spec.Selector = &metav1.LabelSelector{MatchLabels: app}
	pdb.Spec.MinAvailable, pdb.Spec.MaxUnavailable = amount(least), amount(most)
	return pdb
}

func amount(v any) *intstr.IntOrString {
	switch v := v.(type) {
	case int:
		n := intstr.FromInt(v)
		return &n
	case string:
		n := intstr.FromString(v)
		return &n
	}
	return nil
}

func status(w *controllertest.World) string {
	pdb, ok := projections.Get[*policyv1.PodDisruptionBudget](w.Snapshot(), budget)
	if !ok {
		return "gone"
	}
	s := fmt.Sprintf("%d/%d of %d, %d allowed, %d disrupted", pdb.Status.CurrentHealthy, pdb.Status.DesiredHealthy, pdb.Status.ExpectedPods,
		pdb.Status.DisruptionsAllowed, len(pdb.Status.DisruptedPods))
	for _, c := range pdb.Status.Conditions {
		s += fmt.Sprintf(", %s %s %s", c.Type, c.Status, c.Reason)
		if c.Message != "" {
			s += ": " + c.Message
		}
	}
	return s
}

func wantStatus(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	w.Settle()
	if got := status(w); got != want {
		t.Errorf("status is %q,\n     want %q", got, want)
	}
}

func pods(w *controllertest.World) []*corev1.Pod {
	var out []*corev1.Pod
	for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "") {
		out = append(out, pod)
	}
	return out
}

func keyOf(pod *corev1.Pod) events.Key { return controllers.Pod.Key(pod.Namespace, pod.Name) }

func TestEvictions(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		script := controllertest.NewTranscript(w, "evictions")
		script.Keep = func(e *events.Event) bool { return e.Key == budget && (e.Actor == "alice" || e.Reason != "") }
		step := func(name string) {
			w.Advance(time.Second)
			script.Step("%s", name)
			script.Say("then", status(w))
		}
		w.Create(controllers.PodDisruptionBudget, newBudget(2, nil))
		step("a budget without pods")
		w.Create(controllers.Deployment, newDeployment(3))
		step("three pods")
		// The pods that take a place never become ready.
		w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Running })
		all := pods(w)
		if err := w.API.Evict(context.Background(), keyOf(all[0])); err != nil {
			t.Fatal(err)
		}
		step("one is evicted")
		if err := w.API.Evict(context.Background(), keyOf(all[1])); err == nil {
			t.Error("a second one was evicted")
		}
		for _, pod := range pods(w) {
			if err := w.Nodes.Report(context.Background(), pod, controllertest.Ready); err != nil {
				t.Fatal(err)
			}
		}
		step("its successor is ready")
		if err := w.API.Evict(context.Background(), keyOf(all[1])); err != nil {
			t.Error(err)
		}
		step("the second one is evicted")
		script.Done()
	})
}

func TestExpectations(t *testing.T) {
	for name, c := range map[string]struct {
		least, most any
		want        string
	}{
		"at least, a number":    {3, nil, "4/3 of 4, 1 allowed, 0 disrupted, DisruptionAllowed True SufficientPods"},
		"at least, a share":     {"30%", nil, "4/2 of 4, 2 allowed, 0 disrupted, DisruptionAllowed True SufficientPods"},
		"at most, a number":     {nil, 1, "4/3 of 4, 1 allowed, 0 disrupted, DisruptionAllowed True SufficientPods"},
		"at most, a share":      {nil, "30%", "4/2 of 4, 2 allowed, 0 disrupted, DisruptionAllowed True SufficientPods"},
		"at most, all":          {nil, "100%", "4/0 of 4, 4 allowed, 0 disrupted, DisruptionAllowed True SufficientPods"},
		"at least, all":         {"100%", nil, "4/4 of 4, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods"},
		"at least, too many":    {9, nil, "4/9 of 4, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods"},
		"at most, none":         {nil, 0, "4/4 of 4, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods"},
		"at most, a nonsense":   {nil, "x", "0/0 of 0, 0 allowed, 0 disrupted, DisruptionAllowed False SyncFailed: invalid value for IntOrString: invalid type: string is not a percentage"},
		"neither, so all stays": {nil, nil, "4/0 of 0, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *controllertest.World) {
				w.Create(controllers.Deployment, newDeployment(4))
				w.Create(controllers.PodDisruptionBudget, newBudget(c.least, c.most))
				w.Advance(time.Second)
				wantStatus(t, w, c.want)
			})
		})
	}
}

// lonely makes a ready pod that owner controls.
func lonely(t *testing.T, w *controllertest.World, owner *metav1.OwnerReference) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "lonely", Labels: app}}
	if owner != nil {
		pod.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	w.Create(controllers.Pod, pod)
	w.Advance(time.Second)
}

func TestPodsWithoutController(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		lonely(t, w, nil)
		w.Create(controllers.PodDisruptionBudget, newBudget(nil, 1))
		wantStatus(t, w, "1/0 of 0, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods")
	})
	run(t, func(t *testing.T, w *controllertest.World) {
		yes := true
		lonely(t, w, &metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "1", Controller: &yes})
		w.Create(controllers.PodDisruptionBudget, newBudget(nil, 1))
		wantStatus(t, w, "0/0 of 0, 0 allowed, 0 disrupted, DisruptionAllowed False SyncFailed: jobs.batch does not implement the scale subresource")
	})
	run(t, func(t *testing.T, w *controllertest.World) {
		yes := true
		lonely(t, w, &metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", UID: "1", Controller: &yes})
		w.Create(controllers.PodDisruptionBudget, newBudget(nil, 1))
		wantStatus(t, w, `0/0 of 0, 0 allowed, 0 disrupted, DisruptionAllowed False SyncFailed: found no controllers for pod "lonely"`)
	})
}

func TestCustomController(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "fleets.example.com"}}
		crd.Spec.Group, crd.Spec.Names.Kind, crd.Spec.Names.Plural = "example.com", "Fleet", "fleets"
		crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: "v1", Served: true, Storage: true,
			Subresources: &apiextensionsv1.CustomResourceSubresources{Scale: &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.ships.wanted"}},
		}}
		w.Create(controllers.Kind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition", Resource: "customresourcedefinitions"}, crd)
		fleets := controllers.Kind{Group: "example.com", Version: "v1", Kind: "Fleet", Resource: "fleets"}
		w.Create(fleets, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Fleet",
			"metadata": map[string]any{"namespace": "default", "name": "armada"},
			"spec":     map[string]any{"ships": map[string]any{"wanted": int64(5)}},
		}})
		w.Settle()
		owner := fleets.Ref(w.Snapshot().Get(fleets.Key("default", "armada")).Meta())
		lonely(t, w, &owner)
		w.Create(controllers.PodDisruptionBudget, newBudget(nil, 4))
		wantStatus(t, w, "1/1 of 5, 0 allowed, 0 disrupted, DisruptionAllowed False InsufficientPods")
	})
}

// TestEvictionThatNothingComesOf allows an eviction that doesn't delete its pod.
func TestEvictionThatNothingComesOf(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(2))
		w.Create(controllers.PodDisruptionBudget, newBudget(1, nil))
		w.Advance(time.Second)
		pod := pods(w)[0]
		w.API.Refuse = func(method string, k events.Key) error {
			if method == "DELETE" && k == keyOf(pod) {
				return errors.New("not now")
			}
			return nil
		}
		if err := w.API.Evict(context.Background(), keyOf(pod)); err == nil {
			t.Fatal("nothing refused the deletion")
		}
		w.Advance(time.Minute)
		wantStatus(t, w, "1/1 of 2, 0 allowed, 1 disrupted, DisruptionAllowed False InsufficientPods")
		w.Advance(time.Minute)
		wantStatus(t, w, "2/1 of 2, 1 allowed, 0 disrupted, DisruptionAllowed True SufficientPods")
	})
}

func TestStaleMark(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		lonely(t, w, nil)
		k := controllers.Pod.Key("default", "lonely")
		w.PatchStatus(k, `{"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"EvictionByEvictionAPI","lastTransitionTime":%q}]}}`,
			time.Now().UTC().Format(time.RFC3339))
		marked := func() corev1.ConditionStatus {
			for _, c := range controllertest.Get[*corev1.Pod](w, k).Status.Conditions {
				if c.Type == corev1.DisruptionTarget {
					return c.Status
				}
			}
			return ""
		}
		w.Advance(time.Minute)
		if got := marked(); got != corev1.ConditionTrue {
			t.Errorf("after a minute it is %q", got)
		}
		w.Advance(time.Minute)
		if got := marked(); got != corev1.ConditionFalse {
			t.Errorf("after two minutes it is %q", got)
		}
	})
}
