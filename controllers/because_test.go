package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/utils/ptr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// logOf is the whole log by sequence.
func logOf(t *testing.T, w *controllertest.World) map[uint64]*events.Event {
	t.Helper()
	out := map[uint64]*events.Event{}
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		out[e.Sequence] = e
	}
	return out
}

// roots are the events without a cause that e goes back to.
func roots(log map[uint64]*events.Event, e *events.Event) (out []*events.Event) {
	seen := map[uint64]bool{}
	for todo := []uint64{e.Sequence}; len(todo) > 0; {
		at := log[todo[0]]
		todo = todo[1:]
		if at == nil || seen[at.Sequence] {
			continue
		}
		seen[at.Sequence] = true
		if len(at.Cause) == 0 {
			out = append(out, at)
		}
		todo = append(todo, at.Cause...)
	}
	return out
}

// From any container's start the causes lead back to what the user asked for,
// and all that lies between is in the user's trace.
func TestEverythingGoesBackToTheUser(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		w.Run(deployment.New(), replicaset.New())
		w.Schedule("n1", "n2")
		labels := map[string]string{"app": "web"}
		w.Create(controllers.Deployment, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To(int32(12)), Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "web:1"}}},
				},
			},
		})
		w.Advance(time.Minute)
		w.Patch(controllers.Deployment.Key("default", "web"), `{"spec":{"replicas":30}}`)
		w.Advance(time.Minute)
		log := logOf(t, w)
		var created, scaled *events.Event
		for _, e := range log {
			if e.Key.Resource == "deployments" && e.Actor == "alice" {
				if e.Type == events.Created {
					created = e
				} else {
					scaled = e
				}
			}
		}
		if created == nil || scaled == nil || created.Traceparent == "" || created.Traceparent == scaled.Traceparent {
			t.Fatalf("the user's events are %v and %v", created, scaled)
		}
		pods := map[string]int{}
		for _, e := range log {
			if e.Type == events.Elected || e.Actor == "alice" || e.Key.Resource == "nodes" {
				continue
			}
			if len(e.Cause) == 0 || e.Traceparent == "" {
				t.Errorf("%s of %s at %d has cause %v and trace %q", e.Type, e.Key, e.Sequence, e.Cause, e.Traceparent)
				continue
			}
			if back := roots(log, e); !slices.Contains(back, created) && !slices.Contains(back, scaled) {
				t.Errorf("%s of %s at %d goes back to %v", e.Type, e.Key, e.Sequence, back)
			}
			if e.Key.Resource == "pods" && e.Type == events.Created {
				pods[e.Traceparent]++
			}
		}
		if pods[created.Traceparent] != 12 || pods[scaled.Traceparent] != 18 {
			t.Errorf("pods by trace: %v", pods)
		}
	})
}

// A write that is refused, and one that is put off, answers the same event when
// it is made in the end.
func TestCauseOutlivesFailureAndDelay(t *testing.T) {
	for _, test := range []struct {
		name    string
		refusal error
		delay   time.Duration
	}{{"failure", errors.New("not now"), 0}, {"delay", nil, time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *controllertest.World) {
				refused := false
				w.API.Refuse = func(method string, k events.Key) error {
					if method == http.MethodPost && w.Snapshot().Len("", "configmaps") > 0 && !refused {
						refused = true
						return test.refusal
					}
					return nil
				}
				began := time.Now()
				w.Run(controllers.New("test").For("", "configmaps").Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
					if wait := test.delay - controllers.Now(ctx).Sub(began); wait > 0 {
						return controllers.Result{RequeueAfter: wait}, nil
					}
					if key != cm || s.Len("", "configmaps") > 1 {
						return controllers.Result{}, nil
					}
					return controllers.Do(controllers.Create(controllers.ConfigMap, configMap("child"))), nil
				}))
				w.Create(controllers.ConfigMap, configMap("cm"))
				w.Advance(2 * time.Hour)
				var parent *events.Event
				log := logOf(t, w)
				for _, e := range log {
					if e.Key == cm && e.Type == events.Created {
						parent = e
					}
				}
				for _, e := range log {
					if e.Key.Name == "child" {
						if fmt.Sprint(e.Cause) != fmt.Sprint([]uint64{parent.Sequence}) || e.Traceparent != parent.Traceparent {
							t.Errorf("child has cause %v and trace %s, want %d and %s", e.Cause, e.Traceparent, parent.Sequence, parent.Traceparent)
						}
						return
					}
				}
				t.Error("there is no child")
			})
		})
	}
}

// What a user asked of an object stays a cause however much is reported about
// its children meanwhile.
func TestOwnEventsAreKeptAsCause(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		parent := configMap("cm")
		parent.UID = "u"
		w.Create(controllers.ConfigMap, parent)
		for n := range 20 {
			child := configMap(fmt.Sprintf("child-%d", n))
			child.OwnerReferences = []metav1.OwnerReference{controllers.ConfigMap.Ref(parent)}
			w.Create(controllers.ConfigMap, child)
		}
		w.Run(controllers.New("test").For("", "configmaps").Owns("", "configmaps", controllers.ConfigMap).
			Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
				if _, done := projections.Get[*corev1.ConfigMap](s, controllers.ConfigMap.Key("default", "done")); key != cm || done {
					return controllers.Result{}, nil
				}
				return controllers.Do(controllers.Create(controllers.ConfigMap, configMap("done"))), nil
			}))
		w.Settle()
		log := logOf(t, w)
		var own uint64
		for _, e := range log {
			if e.Key == cm {
				own = e.Sequence
			}
		}
		for _, e := range log {
			if e.Key.Name != "done" {
				continue
			}
			if len(e.Cause) != 8 || !slices.Contains(e.Cause, own) || e.Traceparent != log[own].Traceparent {
				t.Errorf("cause is %v, the object's own event is %d", e.Cause, own)
			}
			return
		}
		t.Error("nothing was done")
	})
}
