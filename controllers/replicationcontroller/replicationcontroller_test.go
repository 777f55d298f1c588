package replicationcontroller_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicationcontroller"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var key = controllers.ReplicationController.Key("default", "web")

func TestReplicationController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(replicationcontroller.New(), podgc.New())
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Schedule("n1")
		var full atomic.Bool
		w.API.Refuse = func(method string, k events.Key) error {
			if method == "POST" && k.Resource == "pods" && full.Load() {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota"))
			}
			return nil
		}
		want := func(want string) {
			t.Helper()
			w.Advance(time.Minute)
			status := controllertest.Get[*corev1.ReplicationController](w, key).Status
			got := fmt.Sprintf("%d replicas, %d ready, %d available, observed %d", status.Replicas, status.ReadyReplicas, status.AvailableReplicas, status.ObservedGeneration)
			for _, c := range status.Conditions {
				got += fmt.Sprintf(", %s: %s: %s", c.Type, c.Reason, c.Message)
			}
			if got != want {
				t.Errorf("status is %q, want %q", got, want)
			}
		}

		three, labels := int32(3), map[string]string{"app": "web"}
		w.Create(controllers.ReplicationController, &corev1.ReplicationController{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec: corev1.ReplicationControllerSpec{
				Replicas: &three, Selector: labels,
				Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
			},
		})
		want("3 replicas, 3 ready, 3 available, observed 1")
		position := w.Snapshot().Position()
		w.Advance(time.Hour)
		if now := w.Snapshot().Position(); now != position {
			t.Errorf("%d events were written while nothing happened", now-position)
		}
		for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
			if ref := controllers.ControllerRef(pod); ref == nil || ref.Kind != "ReplicationController" || ref.APIVersion != "v1" || ref.Name != "web" {
				t.Errorf("pod %s is controlled by %+v", pod.Name, ref)
			}
		}
		full.Store(true)
		w.Patch(key, `{"spec":{"replicas":5}}`)
		want(`3 replicas, 3 ready, 3 available, observed 2, ReplicaFailure: FailedCreate: pods "x" is forbidden: exceeded quota`)
		w.Patch(key, `{"spec":{"replicas":1}}`)
		want("1 replicas, 1 ready, 1 available, observed 3")
	})
}
