package pod

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// view is what a pod's status is made of.
type view struct {
	pod        *v1.Pod
	previous   *v1.PodStatus // for times of transition
	hostIPs    []string
	podIPs     []string
	sandbox    bool // there is a sandbox and it is ready
	containers []*container
	started    time.Time
	now        time.Time
	// final forces the phase of a pod that ends otherwise than by its containers.
	final   v1.PodPhase
	reason  string
	message string
	ended   bool // everything was stopped for good
	// resetting: all containers are being removed to be started anew.
	resetting bool
	root      string
}

// makeStatus gives the fields of the status that the agent owns.
func makeStatus(v view) *v1.PodStatus {
	s := &v1.PodStatus{
		ObservedGeneration: v.pod.Generation, QOSClass: QOS(v.pod), Reason: v.reason, Message: v.message,
	}
	for _, ip := range v.hostIPs {
		s.HostIPs = append(s.HostIPs, v1.HostIP{IP: ip})
	}
	ips := v.podIPs
	if v.pod.Spec.HostNetwork {
		ips = v.hostIPs
	}
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, v1.PodIP{IP: ip})
	}
	if len(s.HostIPs) > 0 {
		s.HostIP = s.HostIPs[0].IP
	}
	if len(s.PodIPs) > 0 {
		s.PodIP = s.PodIPs[0].IP
	}
	if !v.started.IsZero() {
		t := metav1.NewTime(v.started.Truncate(time.Second))
		s.StartTime = &t
	}
	if r := v.pod.Spec.Resources; r != nil {
		s.Resources, s.AllocatedResources = r, resourcehelper.PodRequests(v.pod, resourcehelper.PodResourcesOptions{})
	}
	s.Phase = phase(v)
	initialized := initializedNow(v.containers, s.Phase)
	for _, c := range v.containers {
		if v.ended && v.started.IsZero() {
			break // the node didn't take the pod, so nothing is known of its containers
		}
		cs := containerStatus(v, c, initialized)
		switch c.kind {
		case regular:
			s.ContainerStatuses = append(s.ContainerStatuses, cs)
		case ephemeral:
			s.EphemeralContainerStatuses = append(s.EphemeralContainerStatuses, cs)
		default:
			s.InitContainerStatuses = append(s.InitContainerStatuses, cs)
		}
	}
	s.Conditions = conditions(v, s, initialized)
	return s
}

// phase is where the pod is in its life, as Kubernetes counts: a container that
// will be started again has not ended.
func phase(v view) v1.PodPhase {
	if v.final != "" {
		return v.final
	}
	old := v.previous.Phase
	if old == v1.PodSucceeded || old == v1.PodFailed {
		return old
	}
	initialized := initializedNow(v.containers, "")
	var before, waiting, running, stopped, failed, back int
	for _, c := range v.containers {
		switch c.kind {
		case initial:
			if c.exited() && !c.succeeded() && !c.restarts(&v.pod.Spec) {
				return v1.PodFailed
			}
			if !c.succeeded() && !initialized {
				before++
			}
			continue
		case sidecar:
			switch {
			case c.running():
				running++
			case c.current == nil && c.ended == nil:
				waiting++
			}
			continue
		case ephemeral:
			continue
		}
		switch {
		case c.lost:
			stopped++
			failed++
		case c.running():
			running++
		case c.exited():
			stopped++
			if !c.succeeded() {
				failed++
			}
			if c.restarts(&v.pod.Spec) {
				back++
			}
		case c.current == nil && c.ended != nil:
			stopped++
			failed++
			back++
		default:
			waiting++
		}
	}
	switch {
	case before+waiting > 0 && !v.ended:
		return v1.PodPending
	case waiting > 0 && stopped+running == 0:
		return v1.PodPending
	case running > 0 || back > 0 && !v.ended:
		return v1.PodRunning
	case failed+before+waiting > 0:
		return v1.PodFailed
	case stopped > 0:
		return v1.PodSucceeded
	}
	return v1.PodPending
}

// initializedNow reports whether all that comes before the regular containers is
// done. Once one of them was started it stays so while the sandbox lasts.
func initializedNow(containers []*container, phase v1.PodPhase) bool {
	if phase == v1.PodSucceeded {
		return true
	}
	done := true
	for _, c := range containers {
		switch c.kind {
		case initial:
			done = done && c.done()
		case sidecar:
			done = done && c.running() && c.started
		case regular:
			if c.current != nil && !c.stale {
				return true
			}
		}
	}
	return done
}

// The conditions of a pod that the agent owns; PodScheduled is the scheduler's, but
// for static pods.
func conditions(v view, s *v1.PodStatus, initialized bool) []v1.PodCondition {
	var unready, uninitialized []string
	for i, c := range s.InitContainerStatuses {
		aside := kindOf(&v.pod.Spec.InitContainers[i], true) == sidecar
		if aside && !c.Ready {
			unready = append(unready, c.Name)
		}
		started := aside && c.Started != nil && *c.Started
		if !c.Ready && !started {
			uninitialized = append(uninitialized, c.Name)
		}
	}
	for _, c := range s.ContainerStatuses {
		if !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	completed := s.Phase == v1.PodSucceeded
	ended := completed || s.Phase == v1.PodFailed
	make := func(t v1.PodConditionType, ok bool, reason, message string) v1.PodCondition {
		out := v1.PodCondition{Type: t, Status: v1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: v.pod.Generation}
		if ok {
			out.Status, out.Reason, out.Message = v1.ConditionTrue, "", ""
		}
		if t != v1.PodReadyToStartContainers && completed && (t != v1.PodInitialized || ok) {
			out.Reason = "PodCompleted"
		}
		out.LastTransitionTime = metav1.NewTime(v.now.Truncate(time.Second))
		for _, have := range v.previous.Conditions {
			if have.Type == t && have.Status == out.Status && !have.LastTransitionTime.IsZero() {
				out.LastTransitionTime = have.LastTransitionTime
			}
		}
		return out
	}
	message := fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	ready := len(unready) == 0 && !ended
	reason, readyMessage := "ContainersNotReady", message
	if s.Phase == v1.PodFailed {
		reason, readyMessage = "PodFailed", ""
	}
	contained := make(v1.ContainersReady, ready, reason, readyMessage)
	if ready {
		if unmet := unmetGates(v.pod); len(unmet) > 0 {
			ready, reason, readyMessage = false, "ReadinessGatesNotReady", strings.Join(unmet, ", ")
		}
	}
	out := []v1.PodCondition{
		make(v1.PodReadyToStartContainers, v.sandbox && !v.ended, "", ""),
		make(v1.PodInitialized, initialized, "ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(uninitialized, " "))),
		make(v1.PodReady, ready, reason, readyMessage),
		contained,
	}
	if isStatic(v.pod) {
		placed := make(v1.PodScheduled, true, "", "")
		placed.Reason = ""
		out = append(out, placed)
	}
	if couldRestartAll(&v.pod.Spec) {
		why := ""
		switch s.Phase {
		case v1.PodSucceeded:
			why = "PodCompleted"
		case v1.PodFailed:
			why = "PodFailed"
		}
		restarting := make(v1.AllContainersRestarting, v.resetting && !ended, why, "")
		if restarting.Status == v1.ConditionTrue {
			restarting.Reason, restarting.Message = "RestartAllContainersStarted", "container exited with restart policy rule"
		}
		out = append(out, restarting)
	}
	return out
}

// unmetGates says which conditions are missing that others set and that the pod's
// readiness needs.
func unmetGates(pod *v1.Pod) (out []string) {
	for _, gate := range pod.Spec.ReadinessGates {
		i := slices.IndexFunc(pod.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == gate.ConditionType })
		switch {
		case i < 0:
			out = append(out, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case pod.Status.Conditions[i].Status != v1.ConditionTrue:
			out = append(out, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, pod.Status.Conditions[i].Status))
		}
	}
	return out
}

func hasTrue(conditions []v1.PodCondition, t v1.PodConditionType) bool {
	for _, c := range conditions {
		if c.Type == t {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}
