package job_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

var key = controllers.Job.Key("default", "pi")

func newJob(change func(*batchv1.JobSpec)) *batchv1.Job {
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pi"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}},
		}}},
	}
	if change != nil {
		change(&j.Spec)
	}
	return j
}

func ptr[T any](v T) *T { return &v }

func indexedJob(completions, parallelism int32, change func(*batchv1.JobSpec)) *batchv1.Job {
	return newJob(func(s *batchv1.JobSpec) {
		s.CompletionMode, s.Completions, s.Parallelism = ptr(batchv1.IndexedCompletion), &completions, &parallelism
		if change != nil {
			change(s)
		}
	})
}

// A Job of one pod costs six events besides what the node reports: two are the user's and the scheduler's.
func TestOnePod(t *testing.T) {
	run(t, func(w *world) {
		script := controllertest.NewTranscript(w.World, "one")
		script.Keep = func(e *events.Event) bool {
			return e.Prefix == events.PrefixDecision && e.Type != events.Elected && e.Type != events.Scheduled
		}
		script.Step("a node")
		w.Create(controllers.Job, newJob(nil))
		script.Step("a job is created")
		w.want("1 active, 0 succeeded, 0 failed")
		pod := w.pods()[0]
		if pod.Labels[batchv1.JobNameLabel] != "pi" || !strings.HasPrefix(pod.Name, "pi-") || controllers.ControllerRef(pod).Kind != "Job" {
			t.Errorf("pod is %v", pod.ObjectMeta)
		}
		w.end(pod, controllertest.Succeeded)
		script.Step("its pod succeeds")
		w.want("0 active, 1 succeeded, 0 failed" + complete)
		j := controllertest.Get[*batchv1.Job](w.World, key)
		if j.Status.StartTime == nil || j.Status.CompletionTime == nil || *j.Status.Ready != 0 || w.tracked() != 0 {
			t.Errorf("status is %+v, %d pods have a finalizer", j.Status, w.tracked())
		}
		w.Advance(time.Hour)
		script.Step("an hour passes")
		script.Done()
	})
}

func TestReadyIsWrittenLater(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(nil))
		w.settle()
		ready := func() int32 { return *controllertest.Get[*batchv1.Job](w.World, key).Status.Ready }
		if ready() != 0 {
			t.Error("ready is written at once")
		}
		w.Advance(2 * time.Second)
		if ready() != 1 {
			t.Error("ready is not written")
		}
	})
}

func TestParallel(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = ptr(int32(4)), ptr(int32(3)) }))
		w.settle()
		w.want("3 active, 0 succeeded, 0 failed")
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("3 active, 1 succeeded, 0 failed")
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("2 active, 2 succeeded, 0 failed")
		w.Patch(key, `{"spec":{"parallelism":1}}`)
		w.settle()
		w.settle()
		w.want("1 active, 2 succeeded, 0 failed")
		w.end(w.pods()[0], controllertest.Succeeded)
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("0 active, 4 succeeded, 0 failed" + complete)
	})
}

func TestWorkQueue(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.Parallelism = ptr(int32(3)) }))
		w.settle()
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("2 active, 1 succeeded, 0 failed")
		w.end(w.pods()[0], controllertest.Failed)
		w.want("1 active, 1 succeeded, 1 failed")
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("0 active, 2 succeeded, 1 failed" + complete)
	})
}

func TestBackoff(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.BackoffLimit = ptr(int32(2)) }))
		script := w.story("backoff")
		for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second} {
			w.settle()
			script.Step("pod %d runs", i)
			w.end(w.pods()[0], controllertest.Failed)
			w.want(fmt.Sprintf("0 active, 0 succeeded, %d failed", i+1))
			w.Advance(wait - 2*time.Second)
			if n := len(w.pods()); n != 0 {
				t.Errorf("%d pods run before the back-off is over", n)
			}
			script.Step("it fails")
			w.Advance(2 * time.Second)
		}
		script.Step("another runs")
		w.end(w.pods()[0], controllertest.Failed)
		script.Step("the last fails")
		w.want("0 active, 0 succeeded, 3 failed" + failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
		script.Done()
	})
}

func TestRestartsCountForTheLimit(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) {
			s.BackoffLimit, s.Template.Spec.RestartPolicy = ptr(int32(2)), corev1.RestartPolicyOnFailure
		}))
		w.settle()
		w.PatchStatus(controllers.Pod.Key("default", w.pods()[0].Name), `{"status":{"containerStatuses":[{"name":"c","restartCount":2}]}}`)
		w.settle()
		w.want("0 active, 0 succeeded, 1 failed" + failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
	})
}

func TestDeadline(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) {
			s.ActiveDeadlineSeconds, s.Parallelism, s.Completions = ptr(int64(30)), ptr(int32(2)), ptr(int32(2))
		}))
		w.settle()
		w.end(w.pods()[0], controllertest.Succeeded)
		w.Advance(29 * time.Second)
		w.want("1 active, 1 succeeded, 0 failed")
		w.Advance(2 * time.Second)
		w.want("0 active, 1 succeeded, 1 failed" + failed("DeadlineExceeded", "Job was active longer than specified deadline"))
		if w.tracked() != 0 {
			t.Error("a finalizer is left")
		}
	})
}

func TestSuspended(t *testing.T) {
	run(t, func(w *world) {
		script := w.story("suspended")
		script.Step("a node")
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.Suspend = ptr(true) }))
		script.Step("a suspended job is created")
		w.want("0 active, 0 succeeded, 0 failed; Suspended=True JobSuspended (Job suspended)")
		w.Advance(time.Minute)
		w.Patch(key, `{"spec":{"suspend":false}}`)
		w.settle()
		script.Step("it is resumed")
		w.want("1 active, 0 succeeded, 0 failed; Suspended=False JobResumed (Job resumed)")
		started := controllertest.Get[*batchv1.Job](w.World, key).Status.StartTime
		w.Advance(time.Minute)
		w.Patch(key, `{"spec":{"suspend":true}}`)
		w.settle()
		script.Step("it is suspended")
		w.want("0 active, 0 succeeded, 0 failed; Suspended=True JobSuspended (Job suspended)")
		if s := controllertest.Get[*batchv1.Job](w.World, key).Status.StartTime; s != nil {
			t.Error("it has a start time")
		}
		w.Patch(key, `{"spec":{"suspend":false}}`)
		w.settle()
		script.Step("it is resumed again")
		if s := controllertest.Get[*batchv1.Job](w.World, key).Status.StartTime; !started.Before(s) {
			t.Errorf("started at %v, then at %v", started, s)
		}
		w.end(w.pods()[0], controllertest.Succeeded)
		w.want("0 active, 1 succeeded, 0 failed; Suspended=False JobResumed (Job resumed)" + complete)
		script.Done()
	})
}

func TestDeletedPodIsReplaced(t *testing.T) {
	run(t, func(w *world) {
		w.Nodes.Rename() // nobody ends a pod that is deleted
		w.Create(controllers.Job, newJob(nil))
		w.settle()
		pod := controllers.Pod.Key("default", w.pods()[0].Name)
		w.Patch(pod, `{"spec":{"nodeName":"n1"},"status":{"phase":"Running"}}`)
		w.Delete(pod, "")
		w.settle()
		w.want("0 active, 0 succeeded, 1 failed, 1 terminating")
		w.Advance(11 * time.Second)
		w.want("1 active, 0 succeeded, 1 failed, 1 terminating")
	})
}

func TestReplacedWhenItHasEnded(t *testing.T) {
	run(t, func(w *world) {
		w.Nodes.Rename() // nobody ends a pod that is deleted
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.PodReplacementPolicy = ptr(batchv1.Failed) }))
		w.settle()
		pod := w.pods()[0]
		w.Patch(controllers.Pod.Key("default", pod.Name), `{"spec":{"nodeName":"n1"},"status":{"phase":"Running"}}`)
		w.Delete(controllers.Pod.Key("default", pod.Name), "")
		w.Advance(time.Minute)
		w.want("0 active, 0 succeeded, 0 failed, 1 terminating")
		w.PatchStatus(controllers.Pod.Key("default", pod.Name), `{"status":{"phase":"Failed"}}`)
		w.Advance(time.Minute)
		w.want("1 active, 0 succeeded, 1 failed")
	})
}

func TestManagedElsewhere(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) { s.ManagedBy = ptr("example.com/other") }))
		w.Advance(time.Minute)
		w.want("0 active, 0 succeeded, 0 failed")
	})
}

func TestOrphansLoseTheFinalizer(t *testing.T) {
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		t.Run(string(policy), func(t *testing.T) {
			run(t, func(w *world) {
				w.Create(controllers.Job, newJob(nil))
				w.settle()
				w.Delete(key, policy)
				w.Advance(time.Minute)
				left := w.Snapshot().Len("", "pods")
				if w.Snapshot().Get(key).Exists() || w.tracked() != 0 || (left == 1) != (policy == metav1.DeletePropagationOrphan) {
					t.Errorf("%d pods are left, %d with the finalizer", left, w.tracked())
				}
			})
		})
	}
}

func TestAdopted(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "early", Labels: map[string]string{"app": "pi"}}})
		w.settle()
		w.Create(controllers.Job, newJob(func(s *batchv1.JobSpec) {
			s.ManualSelector, s.Selector = ptr(true), &metav1.LabelSelector{MatchLabels: map[string]string{"app": "pi"}}
			s.Template.Labels = map[string]string{"app": "pi"}
			s.Parallelism, s.Completions = ptr(int32(2)), ptr(int32(2))
		}))
		w.settle()
		w.want("2 active, 0 succeeded, 0 failed")
		early := controllertest.Get[*corev1.Pod](w.World, controllers.Pod.Key("default", "early"))
		if controllers.ControllerRef(early) == nil || len(early.Finalizers) != 1 {
			t.Errorf("it is %v", early.ObjectMeta)
		}
		w.Patch(controllers.Pod.Key("default", "early"), `{"metadata":{"labels":{"app":"other"}}}`)
		w.settle()
		if early = controllertest.Get[*corev1.Pod](w.World, controllers.Pod.Key("default", "early")); controllers.ControllerRef(early) != nil || len(early.Finalizers) != 0 {
			t.Errorf("it is still %v", early.ObjectMeta)
		}
		w.want("2 active, 0 succeeded, 0 failed")
	})
}

func TestRefusedPods(t *testing.T) {
	run(t, func(w *world) {
		var full atomic.Bool
		full.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if full.Load() && method == "POST" && k.Resource == "pods" {
				return errQuota
			}
			return nil
		}
		script := w.story("refused")
		script.Step("a node")
		w.Create(controllers.Job, newJob(nil))
		w.Advance(5 * time.Second)
		script.Step("pods are refused")
		w.want("0 active, 0 succeeded, 0 failed")
		full.Store(false)
		w.Advance(time.Minute)
		script.Step("there is room again")
		w.want("1 active, 0 succeeded, 0 failed")
		script.Done()
	})
}
