package deployment_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/projections"
)

func run(t *testing.T, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		f(t, w)
	})
}

// sets gives the replica sets' sizes by image, and their revisions.
func sets(w *controllertest.World) string {
	out := map[string]string{}
	for rs := range projections.List[*appsv1.ReplicaSet](w.Snapshot(), "apps", "replicasets", "default") {
		out[rs.Spec.Template.Spec.Containers[0].Image] = fmt.Sprintf("%d (revision %s)", *rs.Spec.Replicas, rs.Annotations["deployment.kubernetes.io/revision"])
	}
	return fmt.Sprint(out)
}

func reason(w *controllertest.World, t appsv1.DeploymentConditionType) string {
	d, _ := projections.Get[*appsv1.Deployment](w.Snapshot(), web)
	for _, c := range d.Status.Conditions {
		if c.Type == t {
			return fmt.Sprintf("%s %s", c.Status, c.Reason)
		}
	}
	return "none"
}

func wantSets(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	if got := sets(w); got != want {
		t.Errorf("replica sets are %s, want %s", got, want)
	}
}

func wantProgressing(t *testing.T, w *controllertest.World, want string) {
	t.Helper()
	if got := reason(w, appsv1.DeploymentProgressing); got != want {
		t.Errorf("Progressing is %s, want %s", got, want)
	}
}

func TestRevisionsAndUndo(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(2, "web:1"))
		w.Advance(time.Minute)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:0 (revision 1) web:2:2 (revision 2)]")
		wantProgressing(t, w, "True NewReplicaSetAvailable")
		setImage(w, "web:1")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:2 (revision 3) web:2:0 (revision 2)]")
		if got := controllertest.Get[*appsv1.Deployment](w, web).Annotations["deployment.kubernetes.io/revision"]; got != "3" {
			t.Errorf("the deployment's revision is %s", got)
		}
	})
}

func TestHistoryLimit(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		d := newDeployment(1, "web:1")
		limit := int32(1)
		d.Spec.RevisionHistoryLimit = &limit
		w.Create(controllers.Deployment, d)
		w.Advance(time.Minute)
		for _, image := range []string{"web:2", "web:3", "web:4"} {
			setImage(w, image)
			w.Advance(time.Minute)
		}
		wantSets(t, w, "map[web:3:0 (revision 3) web:4:1 (revision 4)]")
	})
}

func TestPause(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(2, "web:1"))
		w.Advance(time.Minute)
		w.Patch(web, `{"spec":{"paused":true}}`)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:2 (revision 1)]")
		wantProgressing(t, w, "Unknown DeploymentPaused")
		w.Patch(web, `{"spec":{"replicas":3}}`)
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:3 (revision 1)]")
		w.Patch(web, `{"spec":{"paused":null}}`)
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:0 (revision 1) web:2:3 (revision 2)]")
		wantProgressing(t, w, "True NewReplicaSetAvailable")
	})
}

func TestRecreate(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		d := newDeployment(2, "web:1")
		d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		w.Create(controllers.Deployment, d)
		w.Advance(time.Minute)
		for o := range w.Snapshot().List("", "pods", "") {
			w.Patch(o.Key, `{"metadata":{"finalizers":["example.com/slow"]}}`)
		}
		w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Ready })
		setImage(w, "web:2")
		w.Advance(time.Second)
		wantSets(t, w, "map[web:1:0 (revision 1) web:2:2 (revision 2)]")
		if n := w.Snapshot().Len("", "pods"); n != 4 {
			t.Errorf("there are %d pods: the old have ended, but stay for their finalizer", n)
		}
	})
}

func TestProgressDeadline(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(2, "web:1"))
		w.Advance(time.Minute)
		w.Nodes.Become(func(*corev1.Pod) controllertest.State { return controllertest.Running })
		setImage(w, "web:2")
		w.Advance(9 * time.Minute)
		wantProgressing(t, w, "True ReplicaSetUpdated")
		w.Advance(2 * time.Minute)
		wantProgressing(t, w, "False ProgressDeadlineExceeded")
		if got := reason(w, appsv1.DeploymentAvailable); got != "True MinimumReplicasAvailable" {
			t.Errorf("Available is %s", got)
		}
		w.Nodes.Become(nil)
		setImage(w, "web:3")
		w.Advance(time.Minute)
		wantProgressing(t, w, "True NewReplicaSetAvailable")
	})
}

func TestScaledInTheMiddle(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(8, "web:1"))
		w.Advance(time.Minute)
		w.Nodes.Become(func(pod *corev1.Pod) controllertest.State {
			if pod.Spec.Containers[0].Image == "web:2" {
				return controllertest.Running
			}
			return controllertest.Ready
		})
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:6 (revision 1) web:2:4 (revision 2)]")
		w.Patch(web, `{"spec":{"replicas":16}}`)
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:12 (revision 1) web:2:8 (revision 2)]")
	})
}

func TestHashCollision(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(1, "web:1"))
		w.Advance(time.Minute)
		var name string
		for o := range w.Snapshot().List("apps", "replicasets", "") {
			name = o.Key.Name
		}
		w.Delete(web, "")
		w.Delete(controllers.ReplicaSet.Key("default", name), "")
		w.Advance(time.Minute)
		one, labels := int32(0), map[string]string{"app": "stranger"}
		w.Create(controllers.ReplicaSet, &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec: appsv1.ReplicaSetSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "y"}}}}},
		})
		w.Create(controllers.Deployment, newDeployment(1, "web:1"))
		w.Advance(time.Minute)
		d := controllertest.Get[*appsv1.Deployment](w, web)
		if d.Status.CollisionCount == nil || *d.Status.CollisionCount != 1 || d.Status.AvailableReplicas != 1 {
			t.Errorf("status is %+v", d.Status)
		}
	})
}
