package deployment_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// told is what the events about the deployment said last.
func told(t *testing.T, w *controllertest.World) (last string) {
	t.Helper()
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key == web && e.Reason != "" {
			last = e.Reason + ": " + e.Note
		}
	}
	return last
}

func TestRefusedReplicaSet(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		var full atomic.Bool
		full.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if method == "POST" && k.Resource == "replicasets" && full.Load() {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "x", errors.New("exceeded quota"))
			}
			return nil
		}
		w.Create(controllers.Deployment, newDeployment(2, "web:1"))
		w.Advance(time.Minute)
		wantProgressing(t, w, "False ReplicaSetCreateError")
		before := w.Snapshot().Position()
		w.Advance(time.Hour)
		if n := w.Snapshot().Position() - before; n > 0 {
			t.Errorf("%d events were written about the same failure", n)
		}
		if got := told(t, w); !strings.HasPrefix(got, `ReplicaSetCreateError: Failed to create new replica set "web-`) || !strings.HasSuffix(got, "exceeded quota") {
			t.Errorf("told: %s", got)
		}
		full.Store(false)
		w.Advance(5 * time.Minute)
		wantProgressing(t, w, "True NewReplicaSetAvailable")
	})
}

func TestRollbackAnnotation(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		back := func(to, wantTold, wantImage string) {
			t.Helper()
			w.Patch(web, `{"metadata":{"annotations":{"deprecated.deployment.rollback.to":%q}}}`, to)
			w.Advance(time.Minute)
			d := controllertest.Get[*appsv1.Deployment](w, web)
			if got := told(t, w); got != wantTold || d.Spec.Template.Spec.Containers[0].Image != wantImage {
				t.Errorf("back to %s: the image is %s; told: %s, want %s", to, d.Spec.Template.Spec.Containers[0].Image, got, wantTold)
			}
			if _, ok := d.Annotations["deprecated.deployment.rollback.to"]; ok {
				t.Errorf("back to %s: the annotation is still there", to)
			}
		}
		w.Create(controllers.Deployment, newDeployment(1, "web:1"))
		w.Advance(time.Minute)
		back("0", "DeploymentRollbackRevisionNotFound: Unable to find last revision.", "web:1")
		w.Patch(web, `{"metadata":{"annotations":{"why":"two"}}}`)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		back("1", `DeploymentRollback: Rolled back deployment "web" to revision 1`, "web:1")
		if d := controllertest.Get[*appsv1.Deployment](w, web); d.Spec.Template.Labels["pod-template-hash"] != "" {
			t.Error("the template has the replica set's hash")
		}
		wantSets(t, w, "map[web:1:1 (revision 3) web:2:0 (revision 2)]")
		back("3", `DeploymentRollbackTemplateUnchanged: The rollback revision contains the same template as current deployment "web"`, "web:1")
		back("7", "DeploymentRollbackRevisionNotFound: Unable to find the revision to rollback to.", "web:1")
		back("0", `DeploymentRollback: Rolled back deployment "web" to revision 2`, "web:2")
	})
}

func TestTerminatingReplicas(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Nodes.Rename() // pods are bound to a node that never ends them
		w.Create(controllers.Deployment, newDeployment(3, "web:1"))
		w.Settle()
		for o := range w.Snapshot().List("", "pods", "") {
			w.Patch(o.Key, `{"spec":{"nodeName":"gone"}}`)
		}
		w.Patch(web, `{"spec":{"replicas":1}}`)
		w.Advance(time.Second)
		if s := controllertest.Get[*appsv1.Deployment](w, web).Status; s.Replicas != 1 || s.TerminatingReplicas == nil || *s.TerminatingReplicas != 2 {
			t.Errorf("status is %+v", s)
		}
	})
}

func TestMinReadySeconds(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		d := newDeployment(2, "web:1")
		d.Spec.MinReadySeconds = 30
		w.Create(controllers.Deployment, d)
		w.Advance(20 * time.Second)
		wantProgressing(t, w, "True ReplicaSetUpdated")
		if got := reason(w, appsv1.DeploymentAvailable); got != "False MinimumReplicasUnavailable" {
			t.Errorf("Available is %s", got)
		}
		w.Advance(20 * time.Second)
		wantProgressing(t, w, "True NewReplicaSetAvailable")
		w.Patch(web, `{"spec":{"minReadySeconds":5}}`)
		w.Advance(time.Second)
		for o := range w.Snapshot().List("apps", "replicasets", "") {
			if n := o.Value.(*appsv1.ReplicaSet).Spec.MinReadySeconds; n != 5 {
				t.Errorf("the replica set has minReadySeconds %d", n)
			}
		}
	})
}

// A paused deployment without a replica set of its template grows the newest.
func TestScaledWhilePausedAtZero(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.Deployment, newDeployment(2, "web:1"))
		w.Advance(time.Minute)
		w.Patch(web, `{"spec":{"replicas":0}}`)
		w.Advance(time.Minute)
		w.Patch(web, `{"spec":{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"name":"c","image":"web:2"}]}}}}`)
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:2 (revision 1)]")
	})
}

func TestFailureOfPodsShown(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		var full atomic.Bool
		w.API.Refuse = func(method string, k events.Key) error {
			if method == "POST" && k.Resource == "pods" && full.Load() {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota"))
			}
			return nil
		}
		w.Create(controllers.Deployment, newDeployment(1, "web:1"))
		w.Advance(time.Minute)
		full.Store(true)
		setImage(w, "web:2")
		w.Advance(time.Minute)
		if got := reason(w, appsv1.DeploymentReplicaFailure); got != "True FailedCreate" {
			t.Errorf("ReplicaFailure is %s", got)
		}
		full.Store(false)
		w.Advance(3 * time.Minute)
		if got := reason(w, appsv1.DeploymentReplicaFailure); got != "none" {
			t.Errorf("ReplicaFailure is %s", got)
		}
		wantProgressing(t, w, "True NewReplicaSetAvailable")
	})
}

func TestLongHistoryAndName(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		long := strings.Repeat("x", 253)
		d := newDeployment(1, "web:1")
		d.Name = long
		w.Create(controllers.Deployment, d)
		w.Advance(time.Minute)
		var set events.Key
		for o := range w.Snapshot().List("apps", "replicasets", "") {
			set = o.Key
		}
		if len(set.Name) != 253 || !strings.HasPrefix(set.Name, "xxx") {
			t.Errorf("the replica set's name is %q", set.Name)
		}
		history := "100"
		for i := range 600 {
			history += fmt.Sprintf(",%d", 101+i)
		}
		key := controllers.Deployment.Key("default", long)
		w.Patch(key, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"web:2"}]}}}}`)
		w.Advance(time.Minute)
		w.Patch(set, `{"metadata":{"annotations":{"deployment.kubernetes.io/revision-history":%q}}}`, history)
		w.Patch(key, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"web:1"}]}}}}`)
		w.Advance(time.Minute)
		got := controllertest.Get[*appsv1.ReplicaSet](w, set).Annotations["deployment.kubernetes.io/revision-history"]
		if len(got) > 2000 || !strings.HasSuffix(got, ",700,1") || strings.HasPrefix(got, "100,") {
			t.Errorf("the history is %d characters: %.20s…%s", len(got), got, got[max(0, len(got)-10):])
		}
	})
}

// A replica set whose pods go slowly counts as old until they're gone, for Recreate.
func TestRecreateWaits(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		d := newDeployment(1, "web:1")
		d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		w.Create(controllers.Deployment, d)
		w.Advance(time.Minute)
		w.Nodes.Rename()
		setImage(w, "web:2")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:0 (revision 1)]")
		for o := range w.Snapshot().List("", "pods", "") {
			w.PatchStatus(o.Key, `{"status":{"phase":%q}}`, corev1.PodSucceeded)
			w.Patch(o.Key, `{"metadata":{"annotations":{"ended":%q}}}`, metav1.Now().String())
		}
		w.Delete(firstPod(w), "")
		w.Advance(time.Minute)
		wantSets(t, w, "map[web:1:0 (revision 1) web:2:1 (revision 2)]")
	})
}

func firstPod(w *controllertest.World) (key events.Key) {
	for o := range w.Snapshot().List("", "pods", "") {
		return o.Key
	}
	return key
}
