package daemonset_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/daemonset"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var key = controllers.DaemonSet.Key("default", "log")

// run starts a world with that many nodes.
func run(t *testing.T, nodes int, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(daemonset.New(), podgc.New())
		var names []string
		for i := range nodes {
			names = append(names, fmt.Sprintf("n%d", i+1))
			addNode(w, names[i])
		}
		w.Schedule(names...)
		f(t, w)
	})
}

func addNode(w *controllertest.World, name string) {
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}})
}

func newSet(image string) *appsv1.DaemonSet {
	labels := map[string]string{"app": "log"}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "log"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}},
		},
	}
}

func rolling(surge, unavailable int) appsv1.DaemonSetUpdateStrategy {
	s, u := intstr.FromInt(surge), intstr.FromInt(unavailable)
	return appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: &s, MaxUnavailable: &u}}
}

func setImage(w *controllertest.World, image string) {
	w.Patch(key, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
}

// show gives the status, and each pod: its node, its image, what it is.
func show(w *controllertest.World) string {
	ds := controllertest.Get[*appsv1.DaemonSet](w, key)
	s := ds.Status
	lines := []string{}
	for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
		is := string(pod.Status.Phase)
		if pod.DeletionTimestamp != nil {
			is = "Deleted"
		}
		node := pod.Spec.NodeName
		if node == "" {
			node = "-"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", node, pod.Spec.Containers[0].Image, is))
	}
	slices.Sort(lines)
	return fmt.Sprintf("desired %d, current %d, ready %d, updated %d, available %d, unavailable %d, misscheduled %d\n%s",
		s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.NumberReady, s.UpdatedNumberScheduled, s.NumberAvailable, s.NumberUnavailable, s.NumberMisscheduled,
		strings.Join(lines, "\n"))
}

func wantPods(t *testing.T, w *controllertest.World, want ...string) {
	t.Helper()
	if _, got, _ := strings.Cut(show(w), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("pods are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestRollout(t *testing.T) {
	run(t, 3, func(t *testing.T, w *controllertest.World) {
		script := controllertest.NewTranscript(w, "rollout")
		script.Keep = func(e *events.Event) bool {
			return e.Key == key && e.Actor == "alice" || e.Key.Resource == "controllerrevisions"
		}
		step := func(name string) {
			w.Advance(20 * time.Second)
			script.Step("%s", name)
			script.Say("then", show(w))
		}
		w.Create(controllers.DaemonSet, newSet("log:1"))
		step("created")
		w.Nodes.Rename("n1", "n2", "n3", "n4")
		addNode(w, "n4")
		step("a fourth node")
		w.Nodes.Become(func(pod *corev1.Pod) controllertest.State {
			if pod.Spec.Containers[0].Image == "log:2" {
				return controllertest.Running
			}
			return controllertest.Ready
		})
		setImage(w, "log:2")
		step("a template whose pods never become ready")
		setImage(w, "log:3")
		step("one that does")
		setImage(w, "log:1")
		step("the first again")
		w.Delete(controllers.Node.Key("", "n4"), "")
		w.Advance(time.Minute) // its pod waits for it to come back
		step("the fourth node goes")
		script.Done()
	})
}

func TestPodsOfASet(t *testing.T) {
	run(t, 1, func(t *testing.T, w *controllertest.World) {
		ds := newSet("log:1")
		ds.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpExists}},
			}}},
		}}
		ds.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64)}}
		w.Create(controllers.DaemonSet, ds)
		w.Advance(time.Second)
		for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "") {
			if h := pod.Labels["controller-revision-hash"]; !w.Snapshot().Get(controllers.ControllerRevision.Key("default", "log-"+h)).Exists() {
				t.Errorf("hash %q is of no revision", h)
			}
			if g := pod.Labels["pod-template-generation"]; g != "1" {
				t.Errorf("generation is %q", g)
			}
			if n := len(pod.Spec.Tolerations); n != 6 || pod.Spec.Tolerations[0].TolerationSeconds != nil {
				t.Errorf("tolerations are %v", pod.Spec.Tolerations)
			}
			terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			if len(terms) != 1 || len(terms[0].MatchExpressions) != 0 || terms[0].MatchFields[0].Values[0] != "n1" {
				t.Errorf("terms are %v", terms)
			}
			return
		}
		t.Error("there is no pod")
	})
}

func TestTaints(t *testing.T) {
	run(t, 2, func(t *testing.T, w *controllertest.World) {
		taint := func(node, taints string) {
			w.Patch(controllers.Node.Key("", node), `{"spec":{"taints":%s}}`, taints)
			w.Advance(10 * time.Second)
		}
		taint("n1", `[{"key":"mine","effect":"NoSchedule"}]`)
		w.Create(controllers.DaemonSet, newSet("log:1"))
		w.Advance(10 * time.Second)
		wantPods(t, w, "n2 log:1 Running")
		taint("n2", `[{"key":"mine","effect":"NoSchedule"}]`)
		wantPods(t, w, "n2 log:1 Running")
		if got := controllertest.Get[*appsv1.DaemonSet](w, key).Status; got.NumberMisscheduled != 1 || got.DesiredNumberScheduled != 0 {
			t.Errorf("status is %+v", got)
		}
		taint("n2", `[{"key":"mine","effect":"NoExecute"}]`)
		wantPods(t, w, "")
		taint("n1", `[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"},{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"}]`)
		wantPods(t, w, "n1 log:1 Running")
		taint("n2", `null`)
		wantPods(t, w, "n1 log:1 Running", "n2 log:1 Running")
		w.Patch(key, `{"spec":{"template":{"spec":{"nodeSelector":{"disk":"fast"}}}}}`)
		w.Advance(10 * time.Second)
		wantPods(t, w, "")
		w.Patch(controllers.Node.Key("", "n2"), `{"metadata":{"labels":{"disk":"fast"}}}`)
		w.Advance(10 * time.Second)
		wantPods(t, w, "n2 log:1 Running")
	})
}

func TestOnDelete(t *testing.T) {
	run(t, 2, func(t *testing.T, w *controllertest.World) {
		ds := newSet("log:1")
		ds.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType
		w.Create(controllers.DaemonSet, ds)
		w.Advance(10 * time.Second)
		setImage(w, "log:2")
		w.Advance(10 * time.Second)
		wantPods(t, w, "n1 log:1 Running", "n2 log:1 Running")
		for o := range w.Snapshot().List("", "pods", "") {
			w.Delete(o.Key, "")
			break
		}
		w.Advance(10 * time.Second)
		if _, got, _ := strings.Cut(show(w), "\n"); strings.Count(got, "log:2") != 1 {
			t.Errorf("pods are\n%s", got)
		}
	})
}

func TestSurge(t *testing.T) {
	run(t, 3, func(t *testing.T, w *controllertest.World) {
		ds := newSet("log:1")
		ds.Spec.UpdateStrategy = rolling(1, 0)
		ds.Spec.MinReadySeconds = 10
		w.Create(controllers.DaemonSet, ds)
		w.Advance(time.Minute)
		setImage(w, "log:2")
		w.Advance(5 * time.Second)
		wantPods(t, w, "n1 log:1 Running", "n1 log:2 Running", "n2 log:1 Running", "n3 log:1 Running")
		w.Advance(10 * time.Second)
		wantPods(t, w, "n1 log:2 Running", "n2 log:1 Running", "n2 log:2 Running", "n3 log:1 Running")
		w.Advance(time.Minute)
		wantPods(t, w, "n1 log:2 Running", "n2 log:2 Running", "n3 log:2 Running")
		if got := controllertest.Get[*appsv1.DaemonSet](w, key).Status; got.NumberAvailable != 3 || got.UpdatedNumberScheduled != 3 {
			t.Errorf("status is %+v", got)
		}
	})
}

// created counts the pods made so far.
func created(t *testing.T, w *controllertest.World) int {
	t.Helper()
	n := 0
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key.Resource == "pods" && e.Type == events.Created {
			n++
		}
	}
	return n
}

func TestFailedPodsBackOff(t *testing.T) {
	for name, strategy := range map[string]appsv1.DaemonSetUpdateStrategy{"in place": rolling(0, 1), "with surge": rolling(1, 0)} {
		t.Run(name, func(t *testing.T) {
			run(t, 1, func(t *testing.T, w *controllertest.World) {
				ds := newSet("log:1")
				ds.Spec.UpdateStrategy = strategy
				w.Create(controllers.DaemonSet, ds)
				w.Advance(time.Minute)
				w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Failed })
				before := created(t, w)
				setImage(w, "log:2")
				w.Advance(time.Minute)
				// At 0 twice, then after 1, 2, 4, 8, 16 s more.
				if n := created(t, w) - before; n < 6 || n > 8 {
					t.Errorf("%d pods were made in a minute", n)
				}
				w.Advance(2 * time.Hour)
				before = created(t, w)
				w.Advance(time.Hour)
				if n := created(t, w) - before; n != 4 {
					t.Errorf("%d pods were made in the third hour", n)
				}
				w.Nodes.Become(nil)
				setImage(w, "log:3")
				w.Advance(time.Minute)
				wantPods(t, w, "n1 log:3 Running")
			})
		})
	}
}

func TestRefusedPods(t *testing.T) {
	run(t, 100, func(t *testing.T, w *controllertest.World) {
		var refused, room atomic.Int64
		w.API.Refuse = func(method string, k events.Key) error {
			if method != "POST" || k.Resource != "pods" || room.Load() > 0 {
				return nil
			}
			refused.Add(1)
			return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", fmt.Errorf("exceeded quota"))
		}
		w.Create(controllers.DaemonSet, newSet("log:1"))
		w.Advance(time.Minute)
		if n := refused.Load(); n > 250 {
			t.Errorf("tried %d times in a minute", n)
		}
		told := 0
		for e, err := range w.Bus.Log().Read(context.Background(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Key == key && e.Reason == "FailedCreate" && strings.HasPrefix(e.Note, "Error creating: ") {
				told++
			}
		}
		if told == 0 || told > 30 {
			t.Errorf("told %d times that pods are refused", told)
		}
		room.Store(1)
		w.Advance(5 * time.Minute)
		if got := controllertest.Get[*appsv1.DaemonSet](w, key).Status; got.NumberAvailable != 100 {
			t.Errorf("status is %+v", got)
		}
	})
}

// TestHistoryLimit: which of two old revisions goes first depends on whose last pod
// does; how many stay doesn't.
func TestHistoryLimit(t *testing.T) {
	run(t, 3, func(t *testing.T, w *controllertest.World) {
		ds, limit := newSet("log:1"), int32(1)
		ds.Spec.RevisionHistoryLimit = &limit
		w.Create(controllers.DaemonSet, ds)
		w.Advance(20 * time.Second)
		for _, image := range []string{"log:2", "log:3", "log:4"} {
			setImage(w, image)
			w.Advance(time.Minute)
			var images []string
			for o := range projections.List[*appsv1.ControllerRevision](w.Snapshot(), "apps", "controllerrevisions", "default") {
				images = append(images, string(o.Data.Raw))
			}
			if len(images) != 2 || !strings.Contains(strings.Join(images, ""), image) {
				t.Errorf("with %s revisions are %s", image, images)
			}
			wantPods(t, w, "n1 "+image+" Running", "n2 "+image+" Running", "n3 "+image+" Running")
		}
	})
}

func TestRefusedDeletes(t *testing.T) {
	run(t, 3, func(t *testing.T, w *controllertest.World) {
		var kept atomic.Bool
		kept.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if method != "DELETE" || k.Resource != "pods" || !kept.Load() {
				return nil
			}
			return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", fmt.Errorf("they are kept"))
		}
		w.Create(controllers.DaemonSet, newSet("log:1"))
		w.Advance(10 * time.Second)
		w.Patch(key, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"log:2"}]}}}}`)
		w.Advance(10 * time.Second)
		reasons := map[string]bool{}
		for e, err := range w.Bus.Log().Read(context.Background(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Key == key && strings.HasPrefix(e.Reason, "Failed") {
				reasons[e.Reason+" "+e.Note] = true
			}
		}
		if want := `FailedDelete Error deleting: pods is forbidden: they are kept`; len(reasons) != 1 || !reasons[want] {
			t.Errorf("told %v, not %q", reasons, want)
		}
		kept.Store(false)
		w.Advance(5 * time.Minute)
		if got := controllertest.Get[*appsv1.DaemonSet](w, key).Status; got.NumberAvailable != 3 || got.UpdatedNumberScheduled != 3 {
			t.Errorf("status is %+v", got)
		}
	})
}

func TestAdopted(t *testing.T) {
	run(t, 2, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.DaemonSet, newSet("log:1"))
		w.Advance(10 * time.Second)
		w.Delete(key, metav1.DeletePropagationOrphan)
		w.Patch(key, `{"metadata":{"finalizers":null}}`)
		before := map[string]bool{}
		for o := range w.Snapshot().List("", "pods", "") {
			w.Patch(o.Key, `{"metadata":{"ownerReferences":null}}`)
			before[o.Key.Name] = true
		}
		for o := range w.Snapshot().List("apps", "controllerrevisions", "") {
			w.Patch(o.Key, `{"metadata":{"ownerReferences":null}}`)
		}
		w.Advance(10 * time.Second)
		w.Create(controllers.DaemonSet, newSet("log:1"))
		w.Advance(10 * time.Second)
		for o := range w.Snapshot().List("", "pods", "") {
			if !before[o.Key.Name] || controllers.ControllerRef(o.Meta()) == nil {
				t.Errorf("pod %s is new, or has no controller", o.Key.Name)
			}
		}
		if n := w.Snapshot().Len("apps", "controllerrevisions"); n != 1 {
			t.Errorf("there are %d revisions", n)
		}
	})
}
