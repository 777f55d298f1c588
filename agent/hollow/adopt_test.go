package hollow

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
)

func TestAdoptedPodsKeepTheirAddresses(t *testing.T) {
	r := NewRuntime(clock.RealClock{}, 0, 0)
	now := metav1.Now()
	seen := map[string]bool{}
	for _, ip := range []string{"10.64.0.1", "10.64.0.3"} {
		p := &v1.Pod{}
		p.UID, p.Name = "u", "p"
		p.Status = v1.PodStatus{Phase: v1.PodRunning, StartTime: &now, PodIP: ip}
		r.Adopt(p)
		seen[ip] = true
	}
	for range 5 {
		id, err := r.RunSandbox(t.Context(), &cri.PodSandboxConfig{Metadata: &cri.PodSandboxMetadata{Uid: "v"}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.SandboxStatus(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.Network.Ip] {
			t.Errorf("%s is used twice", s.Network.Ip)
		}
		seen[s.Network.Ip] = true
	}
}

func TestWhatIsOverIsNotAdopted(t *testing.T) {
	r := NewRuntime(clock.RealClock{}, 0, 0)
	now := metav1.Now()
	for _, phase := range []v1.PodPhase{v1.PodSucceeded, v1.PodFailed} {
		p := &v1.Pod{}
		p.Status = v1.PodStatus{Phase: phase, StartTime: &now, PodIP: "10.1.1.1"}
		r.Adopt(p)
	}
	r.Adopt(&v1.Pod{Status: v1.PodStatus{Phase: v1.PodPending}}) // bound, not begun
	if all, err := r.List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("it has %d sandboxes, %v", len(all), err)
	}
}
