package pod_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/agent/runtime"
)

// stage is a node with pretended containers that notes what is done to them, and what
// is reported of the pod.
type stage struct {
	*hollow.Runtime
	begin time.Time
	slow  map[string]time.Duration // how long containers take to stop
	room  *pod.Room
	stuck bool // nothing can be resized
	asks  bool // probes and hooks are run

	mu     sync.Mutex
	names  map[string]string // of containers, by id
	lines  []string
	status v1.PodStatus
	notes  []string
	patch  string
	config map[string]*cri.ContainerConfig
}

func newStage() *stage {
	return &stage{Runtime: hollow.NewRuntime(clock.RealClock{}, 0, 0), begin: time.Now(), slow: map[string]time.Duration{},
		names: map[string]string{}, config: map[string]*cri.ContainerConfig{}}
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%gs ", time.Since(s.begin).Round(time.Second).Seconds())+fmt.Sprintf(format, args...))
}

func (s *stage) CreateContainer(ctx context.Context, id string, c *cri.ContainerConfig, p *cri.PodSandboxConfig) (string, error) {
	got, err := s.Runtime.CreateContainer(ctx, id, c, p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[got], s.config[c.Metadata.Name] = c.Metadata.Name, c
	return got, err
}

func (s *stage) StartContainer(ctx context.Context, id string) error {
	s.say("start %s", s.nameOf(id))
	return s.Runtime.StartContainer(ctx, id)
}

func (s *stage) nameOf(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[id]
}

func (s *stage) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	name := s.nameOf(id)
	s.say("stop %s in %s", name, grace)
	timer := time.NewTimer(min(s.slow[name], grace))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	return s.Runtime.StopContainer(ctx, id, grace)
}

func (s *stage) ExecSync(_ context.Context, id string, command []string, _ time.Duration) ([]byte, int, error) {
	s.say("exec %s in %s", strings.Join(command, " "), s.nameOf(id))
	if command[0] == "false" {
		return nil, 1, nil
	}
	return nil, 0, nil
}

func (s *stage) UpdateResources(ctx context.Context, id string, r *cri.LinuxContainerResources) error {
	s.say("update %s to shares=%d quota=%d memory=%d", s.nameOf(id), r.CpuShares, r.CpuQuota, r.MemoryLimitInBytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck {
		return fmt.Errorf("the memory is in use")
	}
	return s.Runtime.UpdateResources(ctx, id, r)
}

func (s *stage) Report(f report.Fact) {
	var data struct{ Status v1.PodStatus }
	if err := json.Unmarshal(f.Patch, &data); err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.patch = data.Status, string(f.Patch)
	s.notes = append(s.notes, f.Note)
}

// play runs a pod while f looks on, and gives what was done.
func (s *stage) play(t *testing.T, p *v1.Pod, f func(*pod.Worker)) []string {
	t.Helper()
	w := pod.New(&pod.Host{Node: "n1", Runtime: s, Pretended: !s.asks, Volumes: nothing{}, Objects: nothing{}, Reports: s, Room: s.room,
		Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler), HostIPs: []string{"192.0.2.1"}}, p, feed.Origin{Cause: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { w.Run(ctx) })
	all.Go(func() { s.Events(ctx, func(e runtime.Event) { w.Look(e.ID, e.OOM) }) }) //nolint:errcheck // it ends with ctx
	synctest.Wait()
	f(w)
	synctest.Wait()
	cancel()
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lines { // what happens at once has no order
		j := i
		for j < len(s.lines) && strings.Contains(s.lines[j], "s stop ") && strings.HasPrefix(s.lines[j], strings.SplitAfter(s.lines[i], " ")[0]) {
			j++
		}
		slices.Sort(s.lines[i:j])
	}
	return s.lines
}

// now is the pod's status as it was last reported.
func (s *stage) now() v1.PodStatus {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func remove(w *pod.Worker, p *v1.Pod, grace int64) {
	gone := p.DeepCopy()
	now := metav1.Now()
	gone.DeletionTimestamp, gone.DeletionGracePeriodSeconds = &now, &grace
	w.Update(gone, feed.Origin{Cause: 2})
}

func container(name string) v1.Container { return v1.Container{Name: name, Image: "web"} }

func sidecar(name string) v1.Container {
	c, always := container(name), v1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func TestSidecarsStartInOrderAndStopInReverseAfterTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(map[string]string{"hollow.reckon.dev/exit-after.setup": "2s"}, v1.RestartPolicyAlways)
		proxy := sidecar("proxy")
		proxy.StartupProbe = &v1.Probe{InitialDelaySeconds: 5, PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{}}}
		p.Spec.InitContainers = []v1.Container{proxy, container("setup"), sidecar("logger")}
		p.Spec.Containers = append(p.Spec.Containers, container("other"))
		s := newStage()
		s.slow = map[string]time.Duration{"main": 4 * time.Second, "other": time.Second, "logger": 3 * time.Second}
		got := s.play(t, p, func(w *pod.Worker) {
			time.Sleep(30 * time.Second)
			remove(w, p, 20)
			time.Sleep(time.Minute)
		})
		expect(t, got, "0s start proxy", "5s start setup", "7s start logger", "7s start main", "7s start other",
			"30s stop main in 20s", "30s stop other in 20s", "34s stop logger in 16s", "37s stop proxy in 13s")
	})
}

func TestSidecarsAreNotWaitedForLongerThanTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.InitContainers = []v1.Container{sidecar("a"), sidecar("b")}
		s := newStage()
		s.slow = map[string]time.Duration{"main": time.Minute, "b": time.Minute}
		got := s.play(t, p, func(w *pod.Worker) {
			remove(w, p, 5)
			time.Sleep(time.Minute)
		})
		expect(t, got[3:], "0s stop main in 5s", "5s stop a in 2s", "5s stop b in 2s")
	})
}

func TestSidecarRestartsAndEndsWithTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(map[string]string{"hollow.reckon.dev/exit-after.main": "15s", "hollow.reckon.dev/exit-after.helper": "6s"}, v1.RestartPolicyNever)
		p.Spec.InitContainers = []v1.Container{sidecar("helper")}
		s := newStage()
		got := s.play(t, p, func(*pod.Worker) { time.Sleep(time.Minute) })
		expect(t, got, "0s start helper", "0s start main", "6s start helper")
		if s.status.Phase != v1.PodSucceeded || s.status.InitContainerStatuses[0].RestartCount != 1 {
			t.Errorf("it became %+v", s.status)
		}
	})
}

func TestRestartRules(t *testing.T) {
	never := v1.ContainerRestartPolicyNever
	rule := func(action v1.ContainerRestartRuleAction, codes ...int32) []v1.ContainerRestartRule {
		return []v1.ContainerRestartRule{{Action: action, ExitCodes: &v1.ContainerRestartRuleOnExitCodes{Operator: v1.ContainerRestartRuleOnExitCodesOpIn, Values: codes}}}
	}
	annotations := map[string]string{"hollow.reckon.dev/exit-after.main": "5s", "hollow.reckon.dev/exit-code.main": "42"}
	t.Run("Restart", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := onePod(annotations, v1.RestartPolicyNever)
			p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = &never, rule(v1.ContainerRestartRuleActionRestart, 41, 42)
			s := newStage()
			got := s.play(t, p, func(*pod.Worker) { time.Sleep(16 * time.Second) })
			expect(t, got, "0s start main", "5s start main")
			if w := s.status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "CrashLoopBackOff" || s.status.Phase != v1.PodRunning {
				t.Errorf("it became %+v", s.status)
			}
		})
	})
	t.Run("no rule matches", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := onePod(annotations, v1.RestartPolicyAlways)
			p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = &never, rule(v1.ContainerRestartRuleActionRestart, 41)
			s := newStage()
			expect(t, s.play(t, p, func(*pod.Worker) { time.Sleep(16 * time.Second) }), "0s start main")
			if s.status.Phase != v1.PodFailed {
				t.Errorf("it became %+v", s.status)
			}
		})
	})
	t.Run("RestartAllContainers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := onePod(annotations, v1.RestartPolicyNever)
			p.Annotations["hollow.reckon.dev/exit-after.setup"] = "1s"
			p.Spec.InitContainers = []v1.Container{container("setup")}
			p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = &never, rule(v1.ContainerRestartRuleActionRestartAllContainers, 42)
			p.Spec.Containers = append(p.Spec.Containers, container("other"))
			s := newStage()
			got := s.play(t, p, func(*pod.Worker) { time.Sleep(10 * time.Second) })
			expect(t, got, "0s start setup", "1s start main", "1s start other", "6s stop other in 2s", "6s start setup", "7s start main", "7s start other")
			last := s.status.ContainerStatuses[0]
			if last.RestartCount != 1 || last.LastTerminationState.Terminated == nil || last.LastTerminationState.Terminated.ExitCode != 42 || s.status.Phase != v1.PodRunning {
				t.Errorf("it became %+v", s.status)
			}
		})
	})
}

func TestEphemeralContainerJoinsARunningPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(map[string]string{"hollow.reckon.dev/exit-after.debugger": "5s", "hollow.reckon.dev/exit-code.debugger": "3"}, v1.RestartPolicyAlways)
		s := newStage()
		got := s.play(t, p, func(w *pod.Worker) {
			more := p.DeepCopy()
			more.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{Name: "debugger", Image: "tools"}, TargetContainerName: "main"}}
			w.Update(more, feed.Origin{Cause: 2})
			time.Sleep(time.Hour)
		})
		expect(t, got, "0s start main", "0s start debugger")
		e := s.status.EphemeralContainerStatuses
		if len(e) != 1 || e[0].State.Terminated == nil || e[0].State.Terminated.ExitCode != 3 || e[0].RestartCount != 0 || s.status.Phase != v1.PodRunning {
			t.Errorf("it became %+v", s.status)
		}
		o := s.config["debugger"].Linux.SecurityContext.NamespaceOptions
		if o.Pid != cri.NamespaceMode_TARGET || s.nameOf(o.TargetId) != "main" {
			t.Errorf("it sees the processes of %+v", o)
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Lifecycle = &v1.Lifecycle{
			PostStart: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"hello"}}},
			PreStop:   &v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: 3}},
		}
		other := container("other")
		other.Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"false"}}}}
		p.Spec.Containers = append(p.Spec.Containers, other)
		s := newStage()
		got := s.play(t, p, func(w *pod.Worker) {
			time.Sleep(5 * time.Second)
			remove(w, p, 30)
			time.Sleep(10 * time.Second)
		})
		expect(t, got, "0s start main", "0s exec hello in main", "0s start other", "5s exec false in other", "5s stop other in 30s", "8s stop main in 27s")
		if all := strings.Join(s.notes, "\n"); !strings.Contains(all, "PreStopHook failed") {
			t.Errorf("nothing tells of the hook that failed: %s", all)
		}
	})
}

// Containers never run without the devices that were promised to their pod.
func TestPodWithClaimsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.ResourceClaims = []v1.PodResourceClaim{{Name: "gpu"}}
		s := newStage()
		s.asks = true
		got := s.play(t, p, func(*pod.Worker) { time.Sleep(5 * time.Minute) })
		expect(t, got)
		if all := strings.Join(s.notes, "\n"); s.status.Phase != v1.PodPending || !strings.Contains(all, "this node has no DRA drivers") {
			t.Errorf("it is %s, and told: %s", s.status.Phase, all)
		}
	})
}

// A program that fails without a word counts as one that says something.
func TestSilentProbeFailsAsOftenAsItsThresholdSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].LivenessProbe = &v1.Probe{
			ProbeHandler:  v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"false"}}},
			PeriodSeconds: 10, FailureThreshold: 3, InitialDelaySeconds: 10, TimeoutSeconds: 1,
		}
		s := newStage()
		s.asks = true
		got := s.play(t, p, func(*pod.Worker) { time.Sleep(35 * time.Second) })
		expect(t, got, "0s start main", "10s exec false in main", "20s exec false in main", "30s exec false in main", "30s stop main in 30s", "30s start main")
		if all := strings.Join(s.notes, "\n"); !strings.Contains(all, "Liveness probe failed: ") {
			t.Errorf("nothing tells of the probe that failed: %s", all)
		}
	})
}

// A shorter grace period ends what waits for a longer one; no hook runs twice.
func TestShorterGraceCountsWhileAPodStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.Containers[0].Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"bye"}}}}
		s := newStage()
		s.slow["main"] = time.Hour
		got := s.play(t, p, func(w *pod.Worker) {
			remove(w, p, 600)
			time.Sleep(10 * time.Second)
			remove(w, p, 3)
			time.Sleep(10 * time.Second)
		})
		expect(t, got, "0s start main", "0s exec bye in main", "0s stop main in 10m0s", "10s stop main in 3s")
		if s.status.Phase != v1.PodSucceeded {
			t.Errorf("it became %+v", s.status)
		}
	})
}

func TestReadinessGatesAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePod(nil, v1.RestartPolicyAlways)
		p.Spec.ReadinessGates = []v1.PodReadinessGate{{ConditionType: "example.com/lb"}, {ConditionType: "example.com/dns"}}
		p.Status.Conditions = []v1.PodCondition{{Type: "example.com/dns", Status: v1.ConditionFalse}}
		s := newStage()
		s.play(t, p, func(*pod.Worker) {})
		for _, c := range s.status.Conditions {
			want := `corresponding condition of pod readiness gate "example.com/lb" does not exist., the status of pod readiness gate "example.com/dns" is not "True", but False`
			if c.Type == v1.PodReady && (c.Reason != "ReadinessGatesNotReady" || c.Message != want) {
				t.Errorf("Ready is %+v", c)
			}
		}
	})
}
