package endpointslice_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/projections"
)

func TestSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		w.Advance(time.Second)
		begun := time.Now()
		want := func(what, offset string) {
			t.Helper()
			w.Advance(time.Second) // a service is left alone for a moment after it was looked at
			for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
				got := s.Annotations[corev1.EndpointsLastChangeTriggerTime]
				if got != "" {
					at, err := time.Parse(time.RFC3339Nano, got)
					if err != nil {
						t.Fatal(err)
					}
					got = at.Sub(begun).String()
				}
				if got != offset {
					t.Errorf("%s: since %q, want %q", what, got, offset)
				}
			}
		}
		w.Advance(9 * time.Second)
		w.Create(controllers.Service, service("web", intstr.FromString("web")))
		want("a new service", "9s")
		w.Schedule("n1")
		w.Advance(9 * time.Second)
		w.Create(controllers.Pod, pod("a", 8080))
		want("a pod is ready", "19s")
		w.Advance(9 * time.Second)
		w.Create(controllers.Pod, pod("b", 8080))
		want("another one is ready, the first doesn't count", "29s")
		w.Advance(9 * time.Second)
		p := controllertest.Get[*corev1.Pod](w, controllers.Pod.Key("default", "a"))
		if err := w.Nodes.Report(t.Context(), p, controllertest.Running); err != nil {
			t.Fatal(err)
		}
		want("the first isn't ready any more", "39s")
		w.Patch(controllers.Service.Key("default", "web"), `{"metadata":{"labels":{"team":"b"}}}`)
		want("no pod changed", "")
	})
}
