package integration

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

// waits gives the check that the first container waits for a reason.
func waits(reason string) func(v1.PodStatus) bool {
	return func(s v1.PodStatus) bool {
		w := first(s).State.Waiting
		return w != nil && w.Reason == reason
	}
}

func TestWhatKeepsAContainerFromStarting(t *testing.T) {
	n := newNode(t)
	never := newPod("never", "/bin/true")
	never.Spec.Containers[0].Image, never.Spec.Containers[0].ImagePullPolicy = "reckon.dev/absent:1", v1.PullNever
	pull := newPod("pull", "/bin/true")
	pull.Spec.Containers[0].Image = "127.0.0.1:1/absent:1"
	config := newPod("config", "/bin/true")
	config.Spec.Containers[0].EnvFrom = []v1.EnvFromSource{{SecretRef: &v1.SecretEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "absent"}}}}
	root := newPod("root", "/bin/true")
	yes := true
	root.Spec.SecurityContext = &v1.PodSecurityContext{RunAsNonRoot: &yes}
	command := newPod("command", "/absent")
	for pod, want := range map[*v1.Pod][2]string{
		never:   {"ErrImageNeverPull", "is not present with pull policy of Never"},
		pull:    {"ImagePullBackOff", "Back-off pulling image"},
		config:  {"CreateContainerConfigError", `secret "absent" not found`},
		root:    {"CreateContainerConfigError", "image will run as root"},
		command: {"RunContainerError", "no such file or directory"},
	} {
		n.run(pod)
		s, _ := n.await(pod, want[0], waits(want[0]))
		if got := first(s).State.Waiting.Message; !strings.Contains(got, want[1]) {
			t.Errorf("%s waits with %q", pod.Name, got)
		}
		if s.Phase != v1.PodPending {
			t.Errorf("%s is %s", pod.Name, s.Phase)
		}
	}
}

func TestHostNetwork(t *testing.T) {
	n := newNode(t)
	p := newPod("host", "/bin/httpd", "-f", "-p", "127.0.0.1:8099")
	p.Spec.HostNetwork = true
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	if s.PodIP != "127.0.0.1" {
		t.Errorf("its address is %s", s.PodIP)
	}
}

func TestDeadline(t *testing.T) {
	n := newNode(t)
	p := newPod("late", "/bin/sleep", "1000")
	seconds := int64(2)
	p.Spec.ActiveDeadlineSeconds = &seconds
	n.run(p)
	s, _ := n.await(p, "failed", phaseIs(v1.PodFailed))
	if s.Reason != "DeadlineExceeded" {
		t.Errorf("it failed for %q", s.Reason)
	}
}
