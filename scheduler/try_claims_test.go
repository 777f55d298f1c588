package scheduler

import (
	"fmt"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
)

// TestTryAgrees asks where pods would go, and then lets them be placed: nodes came in another order than
// that of their names, and are all alike.
func TestTryAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		stop := h.start("one")
		defer stop()
		for _, i := range []int{5, 3, 9, 1, 7} {
			h.do([]string{"node", fmt.Sprint("n", i), "cpu=4"})
		}
		synctest.Wait()
		h.do([]string{"drop", "n9"})
		h.do([]string{"node", "n0", "cpu=4"})
		for i := range 8 {
			synctest.Wait()
			name := fmt.Sprint("p", i)
			pod := parsePod(t, name, []string{"cpu=1"})
			want := Try(h.projection.Snapshot(), pod, nil).Node
			h.create("pods", pod)
			synctest.Wait()
			if got := h.pod(name).Spec.NodeName; got != want {
				t.Errorf("%s went to %s, and would have gone to %s", name, got, want)
			}
		}
	})
}

// TestTryClaims asks about pods whose claims aren't made.
func TestTryClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.do([]string{"node", "n1", "cpu=8"})
		h.do([]string{"node", "n2", "cpu=8"})
		h.do([]string{"device-class", "gpu"})
		h.do([]string{"devices", "n2-gpus", "node=n2", "gpu-0=a100", "gpu-1=a100", "gpu-2=a100"})
		pod := parsePod(t, "p", []string{"cpu=1", "device-template=gpu"})
		if got := Try(h.projection.Snapshot(), pod, nil); got.Node != "" || got.Message == "" {
			t.Errorf("without its template it would go to %q: %s", got.Node, got.Message)
		}
		template := &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{Spec: parseClaim(nil)}}
		h.createAs(resourceKey("resourceclaimtemplates", "default", "gpu"), template)
		if got := Try(h.projection.Snapshot(), pod, nil); got.Node != "n2" {
			t.Errorf("it would go to %q: %s", got.Node, got.Message)
		}
		room := Fit(h.projection.Snapshot(), pod, nil, 100)
		if room.Pods != 3 || len(room.Nodes) != 1 || room.Message != "0/2 nodes are available: 2 cannot allocate all claims." {
			t.Errorf("%d fit, on %v: %s", room.Pods, room.Nodes, room.Message)
		}
		if len(pod.Status.ResourceClaimStatuses) != 0 || pod.Status.Phase != corev1.PodPhase("") {
			t.Error("the pod was changed")
		}
	})
}
