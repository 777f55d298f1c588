package pod_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
)

// side is a node that refuses on demand and notes what it is asked.
type side struct {
	refusal *pod.Refusal
	slow    bool // it says so when it is interrupted
	asked   []string
}

func (s *side) Admit(ctx context.Context, p *v1.Pod) *pod.Refusal {
	s.asked = append(s.asked, "admit "+p.Name)
	if s.slow {
		<-ctx.Done()
	}
	return s.refusal
}

func (s *side) Equip(_ context.Context, _ *v1.Pod, c *v1.Container) (pod.Equipment, error) {
	s.asked = append(s.asked, "equip "+c.Name)
	return pod.Equipment{CPUs: "1"}, nil
}

func (s *side) Release(context.Context, string) error {
	s.asked = append(s.asked, "release")
	return nil
}

type newestStatus struct{ v1.PodStatus }

func (l *newestStatus) Report(f report.Fact) {
	var data struct{ Status v1.PodStatus }
	if err := json.Unmarshal(f.Patch, &data); err != nil {
		panic(err)
	}
	l.PodStatus = data.Status
}

func runBeside(t *testing.T, s *side, then func(*pod.Worker)) (last newestStatus) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		host := &pod.Host{
			Node: "n1", Runtime: hollow.NewRuntime(clock.RealClock{}, 1, 0), Volumes: nothing{}, Objects: nothing{}, Reports: &last,
			Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler), Pretended: true, NodeSide: s,
		}
		w := pod.New(host, onePod(nil, v1.RestartPolicyAlways), feed.Origin{Cause: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		synctest.Wait()
		if then != nil {
			then(w)
			time.Sleep(time.Minute)
		}
		cancel()
		<-done
	})
	return last
}

func TestEvictedPodFails(t *testing.T) {
	s := &side{}
	last := runBeside(t, s, func(w *pod.Worker) {
		w.Evict(pod.Eviction{Reason: "Evicted", Message: "The node was low on resource: memory. ", Grace: time.Second, Disruption: true})
		w.Evict(pod.Eviction{Reason: "Terminated", Message: "too late"})
	})
	if last.Phase != v1.PodFailed || last.Reason != "Evicted" || last.Message != "The node was low on resource: memory. " {
		t.Errorf("its status is %+v", last.PodStatus)
	}
	if !slices.ContainsFunc(last.Conditions, func(c v1.PodCondition) bool {
		return c.Type == v1.DisruptionTarget && c.Status == v1.ConditionTrue && c.Reason == v1.PodReasonTerminationByKubelet
	}) {
		t.Errorf("its conditions are %+v", last.Conditions)
	}
	if want := []string{"admit web", "equip main", "release"}; !slices.Equal(s.asked, want) {
		t.Errorf("the node was asked %q, want %q", s.asked, want)
	}
}

func TestPodThatTheNodeRefusesFails(t *testing.T) {
	s := &side{refusal: &pod.Refusal{Reason: "Evicted", Message: "The node had condition: [DiskPressure]. "}}
	last := runBeside(t, s, nil)
	if last.Phase != v1.PodFailed || last.Reason != "Evicted" || last.Message != "Pod was rejected: The node had condition: [DiskPressure]. " {
		t.Errorf("its status is %+v", last.PodStatus)
	}
	if last.StartTime != nil || len(last.ContainerStatuses) != 0 {
		t.Errorf("kubectl would show containers that are being made: %+v", last.ContainerStatuses)
	}
	if want := []string{"admit web", "release"}; !slices.Equal(s.asked, want) {
		t.Errorf("the node was asked %q, want %q", s.asked, want)
	}
}

// What is asked of a node when a pod is evicted or deleted meanwhile has no answer.
func TestAnInterruptedQuestionIsNoRefusal(t *testing.T) {
	s := &side{slow: true, refusal: &pod.Refusal{Reason: "UnexpectedAdmissionError", Message: "context canceled"}}
	last := runBeside(t, s, func(w *pod.Worker) { w.Evict(pod.Eviction{Reason: "Evicted", Message: "the node has no room"}) })
	if last.Phase != v1.PodFailed || last.Reason != "Evicted" || last.Message != "the node has no room" {
		t.Errorf("its status is %+v", last.PodStatus)
	}
}
