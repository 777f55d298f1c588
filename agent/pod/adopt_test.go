package pod_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"k8s.io/utils/clock"
)

type lastStatus struct{ v1.PodStatus }

func (l *lastStatus) Report(f report.Fact) {
	var data struct{ Status v1.PodStatus }
	if err := json.Unmarshal(f.Patch, &data); err != nil {
		panic(err)
	}
	l.PodStatus = data.Status
}

// What a real node ran goes on under its stand-in: no restart, nothing unready.
func TestStandInGoesOnWithWhatRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := metav1.NewTime(time.Now().Add(-time.Hour))
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.InitContainers = []v1.Container{{Name: "before", Image: "web"}}
		p.Spec.Containers[0].ReadinessProbe = &v1.Probe{PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: "/"}}}
		yes := true
		p.Status = v1.PodStatus{Phase: v1.PodRunning, StartTime: &began, PodIP: "10.244.1.7", PodIPs: []v1.PodIP{{IP: "10.244.1.7"}},
			Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue, LastTransitionTime: began}},
			InitContainerStatuses: []v1.ContainerStatus{{Name: "before", ContainerID: "containerd://i", Ready: true,
				State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{Reason: "Completed", ContainerID: "containerd://i", StartedAt: began, FinishedAt: began}}}},
			ContainerStatuses: []v1.ContainerStatus{{Name: "main", ContainerID: "containerd://b", RestartCount: 3, Ready: true, Started: &yes,
				State:                v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: began}},
				LastTerminationState: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", ContainerID: "containerd://a", StartedAt: began, FinishedAt: began}}}},
		}
		out := &lastStatus{}
		runtime := hollow.NewRuntime(clock.RealClock{}, 0, 0)
		runtime.Adopt(p)
		runOn(t, runtime, out, p, feed.Origin{}, time.Hour, nil)
		s := out.PodStatus
		c := s.ContainerStatuses[0]
		if s.Phase != v1.PodRunning || s.PodIP != "10.244.1.7" || !s.StartTime.Equal(&began) {
			t.Errorf("the pod became %+v", s)
		}
		if c.ContainerID != "containerd://b" || c.RestartCount != 3 || !c.Ready || c.State.Running == nil || c.LastTerminationState.Terminated.ExitCode != 2 {
			t.Errorf("the container became %+v", c)
		}
		if i := s.InitContainerStatuses[0]; i.State.Terminated == nil || !i.Ready {
			t.Errorf("the init container became %+v", i)
		}
		for _, condition := range s.Conditions {
			if condition.Status != v1.ConditionTrue {
				t.Errorf("condition %s is %s", condition.Type, condition.Status)
			}
		}
	})
}

var _ pod.Reporter = (*lastStatus)(nil)
