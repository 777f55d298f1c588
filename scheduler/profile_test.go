package scheduler

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
)

// TestProfiles has pods of two scheduler names at once: each is decided by its
// profile, no node takes more than it has, and pods of a third name are left alone.
func TestProfiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		for i := range 3 {
			h.create("nodes", parseNode(t, fmt.Sprint("n", i), []string{"cpu=4", "memory=8Gi"}))
		}
		h.startWith(`
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  plugins:
    score:
      disabled: [{name: "*"}]
      enabled: [{name: NodeResourcesFit}]
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
`)
		h.create("pods", parsePod(t, "first", []string{"cpu=1", "scheduler=packer"}))
		synctest.Wait()
		h.create("pods", parsePod(t, "second", []string{"cpu=1", "scheduler=packer"}))
		h.create("pods", parsePod(t, "spread", []string{"cpu=1"}))
		h.create("pods", parsePod(t, "other", []string{"cpu=1", "scheduler=somebody"}))
		synctest.Wait()
		if a, b, c := h.pod("first").Spec.NodeName, h.pod("second").Spec.NodeName, h.pod("spread").Spec.NodeName; a == "" || a != b || a == c || c == "" {
			t.Errorf("the packer's pods went to %q and %q, the other one to %q", a, b, c)
		}
		if n := h.pod("other").Spec.NodeName; n != "" {
			t.Errorf("a pod of another scheduler went to %s", n)
		}
		for i := range 16 {
			h.create("pods", parsePod(t, fmt.Sprint("more", i), []string{"cpu=1", []string{"scheduler=packer", "scheduler=default-scheduler"}[i%2]}))
		}
		synctest.Wait()
		on := map[string]int{}
		for pod := range projections.List[*corev1.Pod](h.projection.Snapshot(), "", "pods", "") {
			if pod.Spec.NodeName != "" {
				on[pod.Spec.NodeName]++
			}
		}
		if on["n0"] != 4 || on["n1"] != 4 || on["n2"] != 4 {
			t.Errorf("nodes with room for 4 have %v", on)
		}
	})
}
