package controllers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// rollOut is a Deployment's life: created, scaled, given a new image.
func rollOut(w *controllertest.World) (to uint64) {
	w.Run(deployment.New(), replicaset.New(), podgc.New())
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w.Schedule("n1")
	replicas, labels := int32(3), map[string]string{"app": "web"}
	w.Create(controllers.Deployment, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:1"}}},
			},
		},
	})
	w.Advance(time.Second)
	web := controllers.Deployment.Key("default", "web")
	w.Patch(web, `{"spec":{"replicas":5}}`)
	w.Advance(time.Second)
	w.Patch(web, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"web:2"}]}}}}`)
	w.Advance(time.Second)
	return w.Snapshot().Position()
}

func TestBacktestOfTheSameControllerFindsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		to := rollOut(w)
		for _, c := range []*controllers.Controller{deployment.New(), replicaset.New(), podgc.New()} {
			var reached uint64
			b, err := controllers.RunBacktest(context.Background(), w.Projection, 0, to, c, func(at uint64) { reached = at })
			if err != nil {
				t.Fatal(err)
			}
			if b.Decisions < 3 || b.Same != b.Decisions || b.Outside != 0 || len(b.Differences) != 0 || len(b.Unanswered) != 0 || reached != to {
				t.Errorf("%s: %+v", c.Name(), b)
			}
		}
	})
}

func TestBacktestOfAnotherControllerSaysWhatDiffers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		to := rollOut(w)
		miserly := replicaset.New()
		decide := miserly.Reconciler()
		miserly.Reconcile(func(ctx context.Context, s *projections.Snapshot, k events.Key) (controllers.Result, error) {
			r, err := decide(ctx, s, k)
			if last := len(r.Intents) - 1; last > 1 && r.Intents[last-2].Verb == controllers.VerbCreate {
				r.Intents = r.Intents[:last]
			}
			return r, err
		})
		b, err := controllers.RunBacktest(context.Background(), w.Projection, 0, to, miserly, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Two of the three pods of the start are the same; the third is written by nobody.
		if len(b.Differences) == 0 || b.Same+len(b.Differences) != b.Decisions {
			t.Fatalf("%+v", b)
		}
		d := b.Differences[0]
		if d.Key.Resource != "replicasets" || len(d.Recorded) != 1 || !strings.HasPrefix(d.Recorded[0], "created pods/default/web-") {
			t.Errorf("%+v", d)
		}
	})
}

func TestBacktestRefusesASource(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		c := controllers.New("beats").Source(func(context.Context, func(events.Key)) error { return nil })
		if _, err := controllers.RunBacktest(context.Background(), w.Projection, 0, 0, c, nil); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	})
}
