package pod_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/volume"
)

// transcript notes what a worker reports, with the seconds since the beginning.
type transcript struct {
	begin time.Time
	lines []string
}

func (t *transcript) Report(f report.Fact) {
	var data struct{ Status v1.PodStatus }
	if err := json.Unmarshal(f.Patch, &data); err != nil {
		panic(err)
	}
	c, state := v1.ContainerStatus{}, "running"
	if all := data.Status.ContainerStatuses; len(all) > 0 {
		c = all[0]
	} else {
		state = "refused"
	}
	switch {
	case c.State.Waiting != nil:
		state = c.State.Waiting.Reason
	case c.State.Terminated != nil:
		state = fmt.Sprintf("exit %d", c.State.Terminated.ExitCode)
	}
	t.lines = append(t.lines, fmt.Sprintf("%4.0fs %s %s restarts=%d (%s)", time.Since(t.begin).Seconds(), data.Status.Phase, state, c.RestartCount, f.Reason))
}

type nothing struct{}

func (nothing) Mount(context.Context, *v1.Pod) (map[string]volume.Mounted, error) {
	return map[string]volume.Mounted{}, nil
}
func (nothing) Unmount(context.Context, string) error          { return nil }
func (nothing) ConfigMap(string, string) (*v1.ConfigMap, bool) { return nil, false }
func (nothing) Secret(string, string) (*v1.Secret, bool)       { return nil, false }
func (nothing) Services(string) []*v1.Service                  { return nil }

// tell runs a pod for a while and gives what its worker reported.
func tell(t *testing.T, p *v1.Pod, while time.Duration, then func(*pod.Worker)) []string {
	t.Helper()
	out := &transcript{begin: time.Now()}
	run(t, out, p, feed.Origin{Cause: 1}, while, then)
	return out.lines
}

// run runs a pod for a while, and for a minute more after then.
func run(t *testing.T, out pod.Reporter, p *v1.Pod, origin feed.Origin, while time.Duration, then func(*pod.Worker)) {
	t.Helper()
	runOn(t, hollow.NewRuntime(clock.RealClock{}, 0, 100*time.Millisecond), out, p, origin, while, then)
}

func runOn(t *testing.T, runtime *hollow.Runtime, out pod.Reporter, p *v1.Pod, origin feed.Origin, while time.Duration, then func(*pod.Worker), unknown ...string) {
	t.Helper()
	w := pod.New(&pod.Host{Node: "n1", Runtime: runtime, Pretended: true, Volumes: nothing{}, Objects: nothing{}, Reports: out,
		Room:  pod.NewRoom(v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")}, unknown...),
		Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler), HostIPs: []string{"192.0.2.1"}}, p, origin)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	time.Sleep(while)
	synctest.Wait()
	if then != nil {
		then(w)
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
	}
	cancel()
	<-done
}

func onePod(annotations map[string]string, policy v1.RestartPolicy) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u", Annotations: annotations},
		Spec: v1.PodSpec{NodeName: "n1", RestartPolicy: policy, Containers: []v1.Container{{Name: "main", Image: "web"}}}}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it reported\n%q\nnot\n%q", got, want)
	}
}

func TestStartIsOneReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expect(t, tell(t, onePod(nil, v1.RestartPolicyAlways), time.Hour, nil), "   0s Running running restarts=0 (Pulled,Created,Started)")
	})
}

func TestDeletedPodReportsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		got := tell(t, p, time.Minute, func(w *pod.Worker) {
			gone := p.DeepCopy()
			now := metav1.Now()
			gone.DeletionTimestamp = &now
			w.Update(gone, feed.Origin{Cause: 2})
		})
		expect(t, got, "   0s Running running restarts=0 (Pulled,Created,Started)", "  60s Succeeded exit 0 restarts=0 (Killing)")
	})
}

func TestJobEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(map[string]string{"hollow.reckon.dev/exit-after": "5s", "hollow.reckon.dev/exit-code": "7"}, v1.RestartPolicyNever)
		got := tell(t, p, 2*time.Minute, func(w *pod.Worker) { w.Look("", true) })
		expect(t, got, "   0s Running running restarts=0 (Pulled,Created,Started)", "  60s Failed exit 7 restarts=0 ()")
	})
}

// A pod that asks for more than the node has is refused, not at once: news of who
// leaves may be under way.
func TestPodWithoutRoomIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse("5")}
		expect(t, tell(t, p, time.Hour, nil), "   1s Pending ContainerCreating restarts=0 ()", "   5s Failed refused restarts=0 (OutOfcpu)")
	})
}

// After a restart something may run of which the feed never speaks again: it
// doesn't keep other pods out for ever.
func TestUnknownPodDoesNotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse("1")}
		out := &transcript{begin: time.Now()}
		runOn(t, hollow.NewRuntime(clock.RealClock{}, 0, 100*time.Millisecond), out, p, feed.Origin{Cause: 1}, time.Hour, nil, "nobody-knows")
		expect(t, out.lines, "   1s Pending ContainerCreating restarts=0 ()", "   5s Running running restarts=0 (Pulled,Created,Started)")
	})
}
