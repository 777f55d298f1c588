package replicaset_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var key = controllers.ReplicaSet.Key("default", "web")

func newSet(replicas int32) *appsv1.ReplicaSet {
	labels := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		},
	}
}

func run(t *testing.T, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(replicaset.New(), podgc.New())
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		f(t, w)
	})
}

func names(w *controllertest.World) []string {
	var out []string
	for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
		if controllers.ControllerRef(pod) != nil {
			out = append(out, pod.Name)
		}
	}
	return out
}

func status(w *controllertest.World) string {
	rs, _ := projections.Get[*appsv1.ReplicaSet](w.Snapshot(), key)
	s := fmt.Sprintf("%d replicas, %d ready, %d available", rs.Status.Replicas, rs.Status.ReadyReplicas, rs.Status.AvailableReplicas)
	for _, c := range rs.Status.Conditions {
		s += fmt.Sprintf(", %s: %s", c.Type, c.Reason)
	}
	return s
}

func wantStatus(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	if got := status(w); got != want {
		t.Errorf("status is %q, want %q", got, want)
	}
}

func TestReplaced(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Schedule("n1")
		w.Create(controllers.ReplicaSet, newSet(3))
		w.Advance(time.Second)
		wantStatus(t, w, "3 replicas, 3 ready, 3 available")
		before := names(w)
		w.Delete(controllers.Pod.Key("default", before[0]), "")
		w.Advance(time.Second)
		after := names(w)
		if len(after) != 3 || slices.Contains(after, before[0]) || !slices.Contains(after, before[1]) {
			t.Errorf("pods were %v, are %v", before, after)
		}
	})
}

func TestMinReadySeconds(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Schedule("n1")
		rs := newSet(2)
		rs.Spec.MinReadySeconds = 30
		w.Create(controllers.ReplicaSet, rs)
		w.Advance(10 * time.Second)
		wantStatus(t, w, "2 replicas, 2 ready, 0 available")
		w.Advance(30 * time.Second)
		wantStatus(t, w, "2 replicas, 2 ready, 2 available")
	})
}

func TestRefusedPods(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		var refused, room atomic.Int64
		w.API.Refuse = func(method string, k events.Key) error {
			if method != "POST" || k.Resource != "pods" || room.Load() > 0 {
				return nil
			}
			refused.Add(1)
			return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", fmt.Errorf("exceeded quota"))
		}
		w.Create(controllers.ReplicaSet, newSet(1000))
		w.Advance(time.Minute)
		wantStatus(t, w, "0 replicas, 0 ready, 0 available, ReplicaFailure: FailedCreate")
		if n := refused.Load(); n > 200 {
			t.Errorf("tried %d times in a minute", n)
		}
		room.Store(1)
		w.Advance(2 * time.Minute)
		wantStatus(t, w, "1000 replicas, 0 ready, 0 available")
	})
}

func TestRefusedDeletes(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Schedule("n1")
		w.Create(controllers.ReplicaSet, newSet(3))
		w.Advance(time.Second)
		var held atomic.Bool
		held.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if method == "DELETE" && held.Load() {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", fmt.Errorf("a webhook says no"))
			}
			return nil
		}
		w.Patch(key, `{"spec":{"replicas":1}}`)
		w.Advance(time.Minute)
		wantStatus(t, w, "3 replicas, 3 ready, 3 available, ReplicaFailure: FailedDelete")
		held.Store(false)
		w.Advance(2 * time.Minute)
		wantStatus(t, w, "1 replicas, 1 ready, 1 available")
	})
}

func TestTerminatingReplicas(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.ReplicaSet, newSet(2))
		w.Settle()
		for _, name := range names(w) { // on a node that never ends them
			w.Patch(controllers.Pod.Key("default", name), `{"spec":{"nodeName":"n1"}}`)
		}
		w.Delete(controllers.Pod.Key("default", names(w)[0]), "")
		w.Advance(time.Second)
		if s := controllertest.Get[*appsv1.ReplicaSet](w, key).Status; s.Replicas != 2 || s.TerminatingReplicas == nil || *s.TerminatingReplicas != 1 {
			t.Errorf("status is %+v", s)
		}
	})
}

func TestAdoptAndRelease(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		orphan := func(name string) {
			w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}}})
		}
		orphan("earlier")
		w.Create(controllers.ReplicaSet, newSet(2))
		w.Advance(time.Second)
		if got := names(w); len(got) != 2 || got[0] != "earlier" {
			t.Errorf("pods are %v, want the orphan and one more", got)
		}
		w.Patch(controllers.Pod.Key("default", "earlier"), `{"metadata":{"labels":{"app":"other"}}}`)
		w.Advance(time.Second)
		if got := names(w); len(got) != 2 || slices.Contains(got, "earlier") {
			t.Errorf("pods are %v, want two others", got)
		}
		orphan("later")
		w.Advance(time.Second)
		if got := w.Snapshot().Len("", "pods"); got != 3 {
			t.Errorf("there are %d pods: one too many was adopted, so one had to go", got)
		}
	})
}

func TestWhoGoesFirst(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.ReplicaSet, newSet(0))
		w.Settle()
		owner := controllers.ReplicaSet.Ref(controllertest.Get[*appsv1.ReplicaSet](w, key))
		pod := func(name, node, phase string, isReady bool, cost string, restarts int32) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}, OwnerReferences: []metav1.OwnerReference{owner}}}
			if cost != "" {
				p.Annotations = map[string]string{corev1.PodDeletionCost: cost}
			}
			p.Spec.NodeName, p.Status.Phase = node, corev1.PodPhase(phase)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", RestartCount: restarts}}
			if isReady {
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
			}
			w.Create(controllers.Pod, p)
		}
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
		w.Patch(key, `{"spec":{"replicas":8}}`)
		pod("unscheduled", "", "Pending", false, "", 0)
		pod("pending", "n1", "Pending", false, "", 0)
		pod("unready", "n1", "Running", false, "", 0)
		pod("cheap", "n1", "Running", true, "-5", 0)
		pod("dear", "n1", "Running", true, "5", 9)
		pod("crowded", "n1", "Running", true, "", 0)
		pod("alone", "n2", "Running", true, "", 0)
		pod("restarted", "n1", "Running", true, "", 3)
		w.Settle()
		var order []string
		for n := 7; n >= 0; n-- {
			w.Patch(key, `{"spec":{"replicas":%d}}`, n)
			w.Advance(time.Second)
			for o := range w.Snapshot().List("", "pods", "") {
				if o.Meta().GetDeletionTimestamp() != nil && !slices.Contains(order, o.Key.Name) {
					order = append(order, o.Key.Name)
				}
			}
			if n == 7 { // it went at once: it had no node
				if w.Snapshot().Get(controllers.Pod.Key("default", "unscheduled")).Exists() {
					t.Error("the unscheduled pod didn't go first")
				}
			}
		}
		if want := "[pending unready cheap restarted crowded alone dear]"; fmt.Sprint(order) != want {
			t.Errorf("went in the order %v, want %s", order, want)
		}
	})
}
