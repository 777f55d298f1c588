package pod_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/pod"
)

func requests(cpu, memory string) v1.ResourceRequirements {
	list := v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}
	return v1.ResourceRequirements{Requests: list, Limits: list}
}

// resized asks for other resources of the pod's first container.
func resized(w *pod.Worker, p *v1.Pod, to v1.ResourceRequirements) {
	p = p.DeepCopy()
	p.Generation++
	p.Spec.Containers[0].Resources = to
	w.Update(p, feed.Origin{Cause: uint64(p.Generation)})
}

func condition(s v1.PodStatus, t v1.PodConditionType) v1.PodCondition {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c
		}
	}
	return v1.PodCondition{}
}

func TestResizeInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources = requests("1", "64Mi")
		s := newStage()
		s.room = pod.NewRoom(v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")})
		got := s.play(t, p, func(w *pod.Worker) {
			resized(w, p, requests("2", "128Mi"))
			time.Sleep(time.Second)
		})
		expect(t, got, "0s start main", "0s update main to shares=2048 quota=200000 memory=134217728")
		c := s.status.ContainerStatuses[0]
		if c.Resources.Limits.Cpu().String() != "2" || c.AllocatedResources.Memory().String() != "128Mi" || c.RestartCount != 0 {
			t.Errorf("the container has %+v of %+v", c.Resources, c.AllocatedResources)
		}
		all := strings.Join(s.notes, "\n")
		for _, want := range []string{"Pod resize started: ", "Pod resize completed: "} {
			if !strings.Contains(all, want) {
				t.Errorf("nothing tells %q in %s", want, all)
			}
		}
		if condition(s.status, v1.PodResizeInProgress).Status == v1.ConditionTrue || !strings.Contains(s.patch, `{"$patch":"delete","type":"PodResizeInProgress"}`) {
			t.Errorf("the condition isn't removed: %s", s.patch)
		}
	})
}

func TestResizeWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources = requests("1", "64Mi")
		s := newStage()
		s.room = pod.NewRoom(v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")})
		got := s.play(t, p, func(w *pod.Worker) {
			resized(w, p, requests("5", "64Mi"))
			time.Sleep(5 * time.Second)
			c := condition(s.now(), v1.PodResizePending)
			if c.Reason != "Deferred" || c.Message != "Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000" {
				t.Errorf("it waits with %+v", c)
			}
			if got := s.now().ContainerStatuses[0].AllocatedResources.Cpu().String(); got != "1" {
				t.Errorf("it was given %s", got)
			}
			q := p.DeepCopy()
			q.Generation++
			resized(w, q, requests("3", "64Mi"))
			time.Sleep(5 * time.Second)
		})
		expect(t, got, "0s start main", "5s update main to shares=3072 quota=300000 memory=67108864")
		if condition(s.status, v1.PodResizePending).Status == v1.ConditionTrue {
			t.Errorf("it still waits: %+v", s.status.Conditions)
		}
	})
}

func TestResizeThatTheRuntimeRefusesIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources = requests("1", "64Mi")
		s := newStage()
		s.stuck = true
		got := s.play(t, p, func(w *pod.Worker) {
			resized(w, p, requests("1", "32Mi"))
			time.Sleep(5 * time.Second)
			if c := condition(s.now(), v1.PodResizeInProgress); c.Reason != "Error" || c.Message != "the memory is in use" {
				t.Errorf("it says %+v", c)
			}
			if got := s.now().ContainerStatuses[0].Resources.Limits.Memory().String(); got != "64Mi" {
				t.Errorf("it has %s", got)
			}
			s.mu.Lock()
			s.stuck = false
			s.mu.Unlock()
			time.Sleep(10 * time.Second)
		})
		expect(t, got, "0s start main", "0s update main to shares=1024 quota=100000 memory=33554432", "10s update main to shares=1024 quota=100000 memory=33554432")
		if condition(s.status, v1.PodResizeInProgress).Status == v1.ConditionTrue {
			t.Errorf("it still says %+v", s.status.Conditions)
		}
	})
}

func TestResizePolicyRestartsTheContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources = requests("1", "64Mi")
		p.Spec.Containers[0].ResizePolicy = []v1.ContainerResizePolicy{{ResourceName: v1.ResourceCPU, RestartPolicy: v1.NotRequired}, {ResourceName: v1.ResourceMemory, RestartPolicy: v1.RestartContainer}}
		s := newStage()
		got := s.play(t, p, func(w *pod.Worker) {
			resized(w, p, requests("1", "128Mi"))
			time.Sleep(5 * time.Second)
		})
		expect(t, got, "0s start main", "0s stop main in 30s", "0s start main")
		c := s.status.ContainerStatuses[0]
		if c.RestartCount != 1 || c.Resources.Limits.Memory().String() != "128Mi" {
			t.Errorf("it became %+v", c)
		}
		if s.config["main"].Linux.Resources.MemoryLimitInBytes != 128<<20 {
			t.Errorf("it runs with %+v", s.config["main"].Linux.Resources)
		}
	})
}

// What a pod has as a whole counts where its containers have nothing of their own.
func TestPodLevelResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		whole := requests("2", "256Mi")
		p.Spec.Resources = &whole
		s := newStage()
		s.play(t, p, func(*pod.Worker) {})
		r := s.config["main"].Linux.Resources
		if r.CpuShares != 2048 || r.CpuQuota != 200000 || r.MemoryLimitInBytes != 256<<20 || r.OomScoreAdj != -997 {
			t.Errorf("the container runs with %+v", r)
		}
		if s.status.QOSClass != v1.PodQOSGuaranteed || s.status.AllocatedResources.Cpu().String() != "2" {
			t.Errorf("the pod is %s with %v", s.status.QOSClass, s.status.AllocatedResources)
		}
	})
}
