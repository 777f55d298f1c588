package pod

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/static"
)

// state makes a container from a word: what kubectl would say of it.
func state(word string, kind kind) *container {
	c := &container{spec: &v1.Container{Name: word}, kind: kind}
	status := func(s cri.ContainerState, code int32) *cri.ContainerStatus {
		return &cri.ContainerStatus{Id: word, Metadata: &cri.ContainerMetadata{Name: word}, State: s, ExitCode: code, StartedAt: 1e9, FinishedAt: 2e9}
	}
	switch word {
	case "running":
		c.current, c.started, c.ready = status(cri.ContainerState_CONTAINER_RUNNING, 0), true, true
	case "unready":
		c.current, c.started = status(cri.ContainerState_CONTAINER_RUNNING, 0), true
	case "ok":
		c.current = status(cri.ContainerState_CONTAINER_EXITED, 0)
	case "failed":
		c.current = status(cri.ContainerState_CONTAINER_EXITED, 1)
	case "lost":
		c.lost = true
	}
	return c
}

func TestPhaseAndReadiness(t *testing.T) {
	for _, c := range []struct {
		policy     v1.RestartPolicy
		init, main []string
		phase      v1.PodPhase
		ready      bool
	}{
		{v1.RestartPolicyAlways, nil, []string{"waiting"}, v1.PodPending, false},
		{v1.RestartPolicyAlways, []string{"running"}, []string{"waiting"}, v1.PodPending, false},
		{v1.RestartPolicyAlways, []string{"ok"}, []string{"running"}, v1.PodRunning, true},
		{v1.RestartPolicyAlways, nil, []string{"running", "unready"}, v1.PodRunning, false},
		{v1.RestartPolicyAlways, nil, []string{"running", "waiting"}, v1.PodPending, false},
		{v1.RestartPolicyAlways, nil, []string{"failed"}, v1.PodRunning, false},
		{v1.RestartPolicyAlways, nil, []string{"ok"}, v1.PodRunning, false},
		{v1.RestartPolicyOnFailure, nil, []string{"ok"}, v1.PodSucceeded, false},
		{v1.RestartPolicyOnFailure, nil, []string{"ok", "failed"}, v1.PodRunning, false},
		{v1.RestartPolicyNever, nil, []string{"ok", "failed"}, v1.PodFailed, false},
		{v1.RestartPolicyNever, nil, []string{"ok", "ok"}, v1.PodSucceeded, false},
		{v1.RestartPolicyNever, nil, []string{"lost"}, v1.PodFailed, false},
		{v1.RestartPolicyNever, []string{"failed"}, []string{"waiting"}, v1.PodFailed, false},
		{v1.RestartPolicyAlways, []string{"failed"}, []string{"waiting"}, v1.PodPending, false},
	} {
		v := view{pod: &v1.Pod{Spec: v1.PodSpec{RestartPolicy: c.policy}}, previous: &v1.PodStatus{}, now: time.Unix(100, 0), sandbox: true}
		for _, word := range c.init {
			v.containers = append(v.containers, state(word, initial))
			v.pod.Spec.InitContainers = append(v.pod.Spec.InitContainers, v1.Container{Name: word})
		}
		for _, word := range c.main {
			v.containers = append(v.containers, state(word, regular))
			v.pod.Spec.Containers = append(v.pod.Spec.Containers, v1.Container{Name: word})
		}
		s := makeStatus(v)
		if s.Phase != c.phase || hasTrue(s.Conditions, v1.PodReady) != c.ready {
			t.Errorf("%s %v %v: %s, ready %v; want %s, ready %v", c.policy, c.init, c.main, s.Phase, !c.ready, c.phase, c.ready)
		}
	}
}

// Nobody but its node places a static pod.
func TestStaticPodIsScheduled(t *testing.T) {
	for _, source := range []string{"file", "api"} {
		p := &v1.Pod{}
		p.Annotations = map[string]string{static.AnnotationSource: source}
		s := makeStatus(view{pod: p, previous: &v1.PodStatus{}, now: time.Unix(100, 0), containers: []*container{state("running", regular)}})
		if got := hasTrue(s.Conditions, v1.PodScheduled); got != (source == "file") {
			t.Errorf("%s: PodScheduled is told: %v", source, got)
		}
	}
}

func TestConditionKeepsItsTime(t *testing.T) {
	v := view{pod: &v1.Pod{}, previous: &v1.PodStatus{}, now: time.Unix(100, 0), containers: []*container{state("running", regular)}}
	first := makeStatus(v)
	v.previous, v.now = first, time.Unix(200, 0)
	for i, c := range makeStatus(v).Conditions {
		if !c.LastTransitionTime.Equal(&first.Conditions[i].LastTransitionTime) {
			t.Errorf("%s changed its time without changing", c.Type)
		}
	}
	v.containers[0] = state("unready", regular)
	for _, c := range makeStatus(v).Conditions {
		if c.Type == v1.PodReady && c.LastTransitionTime.Unix() != 200 {
			t.Errorf("Ready changed at %v", c.LastTransitionTime)
		}
	}
}
