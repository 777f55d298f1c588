package statefulset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/statefulset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var web = controllers.StatefulSet.Key("default", "web")

func newSet(replicas int32, change ...func(*appsv1.StatefulSetSpec)) *appsv1.StatefulSet {
	labels := map[string]string{"app": "web"}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "peers", Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:1"}}},
			},
		},
	}
	for _, f := range change {
		f(&set.Spec)
	}
	return set
}

func parallel(s *appsv1.StatefulSetSpec) { s.PodManagementPolicy = appsv1.ParallelPodManagement }

func withClaims(deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSetSpec) {
	return func(s *appsv1.StatefulSetSpec) {
		s.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		s.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: deleted, WhenScaled: scaled}
	}
}

const (
	retain = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	remove = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
)

func begin(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(statefulset.New(), podgc.New(), garbage.New())
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w.Schedule("n1")
	return w
}

func run(t *testing.T, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		defer w.Stop()
		f(t, w)
	})
}

func setImage(w *controllertest.World, image string) {
	w.Patch(web, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
}

func pod(name string) events.Key { return controllers.Pod.Key("default", name) }

// pods gives the set's pods with their images.
func pods(w *controllertest.World) string {
	var out []string
	for p := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
		if controllers.ControllerRef(p) != nil {
			out = append(out, p.Name+"="+p.Spec.Containers[0].Image)
		}
	}
	return strings.Join(out, " ")
}

func wantPods(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	if got := pods(w); got != want {
		t.Errorf("pods are %q, want %q", got, want)
	}
}

func wantStatus(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	s := controllertest.Get[*appsv1.StatefulSet](w, web).Status
	got := fmt.Sprintf("%d replicas, %d ready, %d available, %d current, %d updated", s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas)
	if s.CurrentRevision != s.UpdateRevision {
		got += ", rolling"
	}
	if got != want {
		t.Errorf("status is %q, want %q", got, want)
	}
}

// steps leaves out what others do.
func steps(e *events.Event) bool {
	return e.Prefix != events.PrefixFact && (strings.HasSuffix(e.Actor, "statefulset-controller") || e.Actor == "alice") && e.Type != events.Progressed
}

func TestStory(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		script := controllertest.NewTranscript(w, "story")
		script.Keep = steps
		w.Create(controllers.StatefulSet, newSet(3, withClaims(retain, retain)))
		w.Advance(time.Minute)
		script.Step("created")
		setImage(w, "web:2")
		w.Advance(time.Minute)
		script.Step("a new image")
		wantStatus(t, w, "3 replicas, 3 ready, 3 available, 3 current, 3 updated")
		setImage(w, "web:1")
		w.Advance(time.Minute)
		script.Step("undone")
		w.Patch(web, `{"spec":{"replicas":1}}`)
		w.Advance(time.Minute)
		script.Step("scaled to 1")
		w.Delete(pod("web-0"), "")
		w.Advance(time.Minute)
		script.Step("its pod deleted")
		w.Patch(web, `{"spec":{"replicas":2}}`)
		w.Advance(time.Minute)
		script.Step("scaled to 2")
		script.Done()
		wantPods(t, w, "web-0=web:1 web-1=web:1")
	})
}

func TestIdentity(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(2, withClaims(retain, retain), func(s *appsv1.StatefulSetSpec) {
			s.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5}
			s.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}, {Name: "other"}}
		}))
		w.Advance(time.Minute)
		wantPods(t, w, "web-5=web:1 web-6=web:1")
		p := controllertest.Get[*corev1.Pod](w, pod("web-6"))
		revision := controllertest.Get[*appsv1.StatefulSet](w, web).Status.UpdateRevision
		if p.GenerateName != "web-" || p.Spec.Hostname != "web-6" || p.Spec.Subdomain != "peers" ||
			p.Labels["statefulset.kubernetes.io/pod-name"] != "web-6" || p.Labels["apps.kubernetes.io/pod-index"] != "6" || p.Labels["controller-revision-hash"] != revision {
			t.Errorf("the pod is %+v", p)
		}
		if v := p.Spec.Volumes; len(v) != 2 || v[0].PersistentVolumeClaim.ClaimName != "data-web-6" || v[1].Name != "other" {
			t.Errorf("its volumes are %+v", v)
		}
		claim := controllertest.Get[*corev1.PersistentVolumeClaim](w, controllers.PersistentVolumeClaim.Key("default", "data-web-6"))
		if claim.Labels["app"] != "web" || len(claim.OwnerReferences) != 0 {
			t.Errorf("its claim is %+v", claim.ObjectMeta)
		}
	})
}

func TestOrder(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Nodes.Become(func(p *corev1.Pod) controllertest.State {
			if p.Name == "web-1" {
				return controllertest.Running
			}
			return controllertest.Ready
		})
		w.Create(controllers.StatefulSet, newSet(3))
		w.Advance(time.Hour)
		wantPods(t, w, "web-0=web:1 web-1=web:1")
		wantStatus(t, w, "2 replicas, 1 ready, 1 available, 2 current, 2 updated")
		w.Patch(web, `{"spec":{"replicas":1}}`)
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1")
	})
}

func TestParallel(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Running })
		w.Create(controllers.StatefulSet, newSet(4, parallel, withClaims(retain, retain)))
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=web:1 web-3=web:1")
		w.Patch(web, `{"spec":{"replicas":1}}`)
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1")
	})
}

func TestMinReadySeconds(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(2, func(s *appsv1.StatefulSetSpec) { s.MinReadySeconds = 30 }))
		w.Advance(20 * time.Second)
		wantStatus(t, w, "1 replicas, 1 ready, 0 available, 1 current, 1 updated")
		w.Advance(20 * time.Second)
		wantStatus(t, w, "2 replicas, 2 ready, 1 available, 2 current, 2 updated")
		w.Advance(30 * time.Second)
		wantStatus(t, w, "2 replicas, 2 ready, 2 available, 2 current, 2 updated")
	})
}

func TestCanary(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(4))
		w.Advance(time.Minute)
		w.Patch(web, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":3}}}}`)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=web:1 web-3=web:2")
		wantStatus(t, w, "4 replicas, 4 ready, 4 available, 3 current, 1 updated, rolling")
		w.Delete(pod("web-1"), "") // below the partition it stays what it was
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=web:1 web-3=web:2")
		w.Patch(web, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`)
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:2 web-1=web:2 web-2=web:2 web-3=web:2")
		wantStatus(t, w, "4 replicas, 4 ready, 4 available, 4 current, 4 updated")
	})
}

func TestOnDelete(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(2, func(s *appsv1.StatefulSetSpec) {
			s.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
		}))
		w.Advance(time.Minute)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1")
		w.Delete(pod("web-0"), "")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:2 web-1=web:1")
		wantStatus(t, w, "2 replicas, 2 ready, 2 available, 1 current, 1 updated, rolling")
	})
}

// A pod that never becomes ready holds the rollout up, even after the template is
// changed back, until somebody deletes it: as on Kubernetes.
func TestStuckRollout(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(3))
		w.Advance(time.Minute)
		w.Nodes.Become(func(p *corev1.Pod) controllertest.State {
			if p.Spec.Containers[0].Image == "broken" {
				return controllertest.Running
			}
			return controllertest.Ready
		})
		setImage(w, "broken")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=broken")
		setImage(w, "web:1")
		w.Advance(time.Hour)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=broken")
		w.Delete(pod("web-2"), "")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1 web-2=web:1")
		wantStatus(t, w, "3 replicas, 3 ready, 3 available, 3 current, 3 updated")
	})
}

func TestFailedPodReplaced(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(2))
		w.Advance(time.Minute)
		before := controllertest.Get[*corev1.Pod](w, pod("web-0"))
		if err := w.Nodes.Report(t.Context(), before, controllertest.Failed); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Minute)
		wantStatus(t, w, "2 replicas, 2 ready, 2 available, 2 current, 2 updated")
		if after := controllertest.Get[*corev1.Pod](w, pod("web-0")); after.UID == before.UID {
			t.Error("the failed pod is still there")
		}
	})
}

func TestHistoryLimit(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		one := int32(1)
		w.Create(controllers.StatefulSet, newSet(1, func(s *appsv1.StatefulSetSpec) { s.RevisionHistoryLimit = &one }))
		w.Advance(time.Minute)
		for i := range 5 {
			setImage(w, fmt.Sprintf("web:%d", i))
			w.Advance(time.Minute)
		}
		var numbers []int64
		for r := range projections.List[*appsv1.ControllerRevision](w.Snapshot(), "apps", "controllerrevisions", "default") {
			numbers = append(numbers, r.Revision)
		}
		slices.Sort(numbers)
		if want := []int64{5, 6}; !slices.Equal(numbers, want) { // web:1 came back as number 3
			t.Errorf("revisions are %v, want %v", numbers, want)
		}
	})
}

func TestAdoptAndRelease(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		orphan := func(name string) {
			w.Create(controllers.Pod, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "orphan"}}},
			})
		}
		orphan("web-1")
		orphan("web-x")
		w.Create(controllers.StatefulSet, newSet(2, func(s *appsv1.StatefulSetSpec) {
			s.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
		}))
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=orphan")
		if l := controllertest.Get[*corev1.Pod](w, pod("web-1")).Labels; l["statefulset.kubernetes.io/pod-name"] != "web-1" {
			t.Errorf("the adopted pod has the labels %v", l)
		}
		orphan("web-7") // adopted, and one too many
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=orphan")
		w.Patch(pod("web-1"), `{"metadata":{"labels":{"app":"other"}}}`)
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1") // its name is taken
		w.Delete(pod("web-1"), "")
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1")
	})
}
