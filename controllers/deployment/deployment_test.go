package deployment_test

import (
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
)

var web = controllers.Deployment.Key("default", "web")

func newDeployment(replicas int32, image string) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
			},
		},
	}
}

func setImage(w *controllertest.World, image string) {
	w.Patch(web, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
}

func start(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(deployment.New(), replicaset.New())
	w.Schedule("n1", "n2")
	return w
}

// steps leaves out what may come in another order each time.
func steps(e *events.Event) bool {
	return e.Prefix != events.PrefixFact && e.Key.Resource != "pods" && e.Type != events.Elected && e.Type != events.Progressed
}

func TestRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "rollout")
		script.Keep = steps
		w.Create(controllers.Deployment, newDeployment(3, "web:1"))
		w.Advance(time.Second)
		script.Step("created")
		setImage(w, "web:2")
		w.Advance(time.Minute)
		script.Step("a new image")
		d := controllertest.Get[*appsv1.Deployment](w, web)
		if d.Status.UpdatedReplicas != 3 || d.Status.AvailableReplicas != 3 || d.Status.Replicas != 3 {
			t.Errorf("status is %+v", d.Status)
		}
		setImage(w, "web:1")
		w.Advance(time.Minute)
		script.Step("undone")
		w.Patch(web, `{"spec":{"replicas":0}}`)
		w.Advance(time.Minute)
		script.Step("scaled to 0")
		script.Done()
	})
}
