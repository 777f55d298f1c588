package job_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// A pod that ends while it is sent away counts: its finalizer goes only from the
// pod that was seen running.
func TestEndsWhileItIsSentAway(t *testing.T) {
	for name, change := range map[string]string{"suspended": `{"spec":{"suspend":true}}`, "too many": `{"spec":{"parallelism":0}}`} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				w.Create(controllers.Job, newJob(nil))
				w.settle()
				w.endsBeforeItsNextPatch(w.pods()[0])
				w.Patch(key, "%s", change)
				w.Advance(time.Minute)
				if s := controllertest.Get[*batchv1.Job](w.World, key).Status; s.Succeeded != 1 || s.Failed != 0 {
					t.Errorf("%d succeeded, %d failed, though the pod had succeeded", s.Succeeded, s.Failed)
				}
				if w.tracked() != 0 {
					t.Error("a finalizer is left")
				}
			})
		})
	}
}

// endsBeforeItsNextPatch lets the pod succeed after a write to it was decided and
// before the API sees that write.
func (w *world) endsBeforeItsNextPatch(pod *corev1.Pod) {
	var ended atomic.Bool
	w.API.Refuse = func(method string, k events.Key) error {
		if method != http.MethodPatch || k != controllers.Pod.Key(pod.Namespace, pod.Name) || ended.Swap(true) {
			return nil
		}
		if err := w.Nodes.Report(w.t.Context(), pod, controllertest.Succeeded); err != nil {
			return err
		}
		_, last, err := w.Bus.Log().Range(w.t.Context())
		if err != nil {
			return err
		}
		return w.Projection.WaitFor(w.t.Context(), last)
	}
}
