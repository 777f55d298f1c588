package cronjob_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/cronjob"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var key = controllers.CronJob.Key("default", "tick")

func newCronJob(schedule string, change func(*batchv1.CronJobSpec)) *batchv1.CronJob {
	c := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tick"},
		Spec: batchv1.CronJobSpec{Schedule: schedule, JobTemplate: batchv1.JobTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "tick"}},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}},
		}},
	}
	if change != nil {
		change(&c.Spec)
	}
	return c
}

type world struct {
	*controllertest.World
	t *testing.T
}

// run begins at midnight, 2000-01-01 UTC. Jobs end when the test says so.
func run(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{controllertest.NewWorld(t), t}
		defer w.Stop()
		w.InFlight = 1
		w.Run(cronjob.New(), garbage.New())
		w.Advance(time.Second)
		f(w)
	})
}

// jobs names the Jobs that are there by the minute of 2000 they are for.
func (w *world) jobs() string {
	var out []string
	for j := range projections.List[*batchv1.Job](w.Snapshot(), "batch", "jobs", "default") {
		out = append(out, j.Annotations[batchv1.CronJobScheduledTimestampAnnotation][5:16])
	}
	return strings.Join(out, " ")
}

func (w *world) want(jobs string, active int) {
	w.t.Helper()
	c := controllertest.Get[*batchv1.CronJob](w.World, key)
	if got := w.jobs(); got != jobs || len(c.Status.Active) != active {
		w.t.Errorf("jobs are %q, %d are active, want %q and %d", got, len(c.Status.Active), jobs, active)
	}
}

// end finishes the oldest Job that runs.
func (w *world) end(as batchv1.JobConditionType) {
	w.t.Helper()
	for j := range projections.List[*batchv1.Job](w.Snapshot(), "batch", "jobs", "default") {
		if len(j.Status.Conditions) == 0 {
			now := metav1.Now().UTC().Format(time.RFC3339)
			w.PatchStatus(controllers.Job.Key("default", j.Name), `{"status":{"startTime":%q,"completionTime":%q,"conditions":[{"type":%q,"status":"True","lastTransitionTime":%q}]}}`,
				j.CreationTimestamp.UTC().Format(time.RFC3339), now, as, now)
			w.Settle()
			return
		}
	}
	w.t.Fatal("no job runs")
}

// news counts the events about the CronJob by reason.
func (w *world) news() string {
	w.Settle()
	n := map[string]int{}
	var order []string
	for e, err := range w.Bus.Log().Read(w.t.Context(), 1) {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range e.Steps() {
			if s.Reason == "" || e.Type == events.Elected {
				continue
			}
			if n[s.Reason]++; n[s.Reason] == 1 {
				order = append(order, s.Reason)
			}
		}
	}
	var out []string
	for _, reason := range order {
		out = append(out, fmt.Sprintf("%s %d", reason, n[reason]))
	}
	return strings.Join(out, ", ")
}

func ptr[T any](v T) *T { return &v }

func TestEveryMinute(t *testing.T) {
	run(t, func(w *world) {
		script := controllertest.NewTranscript(w.World, "minute")
		w.Create(controllers.CronJob, newCronJob("* * * * *", nil))
		w.Advance(50 * time.Second)
		script.Step("before the first minute")
		w.Advance(10 * time.Second)
		w.want("01-01T00:01", 1)
		script.Step("the first minute")
		j := controllertest.Get[*batchv1.Job](w.World, controllers.Job.Key("default", "tick-15778081"))
		if j.Labels["app"] != "tick" || j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] != "2000-01-01T00:01:00Z" {
			t.Errorf("job is %v", j.ObjectMeta)
		}
		w.end(batchv1.JobComplete)
		script.Step("its job completes")
		w.want("01-01T00:01", 0)
		for range 4 {
			w.Advance(time.Minute)
			w.end(batchv1.JobComplete)
		}
		script.Step("four more minutes: history is kept of three")
		w.want("01-01T00:03 01-01T00:04 01-01T00:05", 0)
		c := controllertest.Get[*batchv1.CronJob](w.World, key)
		if got := c.Status.LastScheduleTime.UTC().Format(time.TimeOnly) + " " + c.Status.LastSuccessfulTime.UTC().Format(time.TimeOnly); got != "00:05:00 00:05:01" {
			t.Errorf("last times are %s", got)
		}
		script.Done()
	})
}

func TestFailedHistory(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.CronJob, newCronJob("* * * * *", nil))
		for range 3 {
			w.Advance(time.Minute)
			w.end(batchv1.JobFailed)
		}
		w.want("01-01T00:03", 0)
	})
}

func TestConcurrency(t *testing.T) {
	for policy, want := range map[batchv1.ConcurrencyPolicy]struct {
		jobs   string
		active int
		news   string
	}{
		batchv1.AllowConcurrent:   {"01-01T00:01 01-01T00:02 01-01T00:03", 3, "SuccessfulCreate 3"},
		batchv1.ForbidConcurrent:  {"01-01T00:01", 1, "SuccessfulCreate 1, JobAlreadyActive 2"},
		batchv1.ReplaceConcurrent: {"01-01T00:03", 1, "SuccessfulCreate 3, SuccessfulDelete 2"},
	} {
		t.Run(string(policy), func(t *testing.T) {
			run(t, func(w *world) {
				w.Create(controllers.CronJob, newCronJob("* * * * *", func(s *batchv1.CronJobSpec) { s.ConcurrencyPolicy = policy }))
				w.Advance(3*time.Minute + 10*time.Second)
				w.want(want.jobs, want.active)
				if got := w.news(); got != want.news {
					t.Errorf("news are %q, want %q", got, want.news)
				}
				if policy == batchv1.ForbidConcurrent {
					w.end(batchv1.JobComplete)
					w.want("01-01T00:01 01-01T00:03", 1) // late, for the last time
				}
			})
		})
	}
}

func TestSuspendAndDeadline(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.CronJob, newCronJob("* * * * *", func(s *batchv1.CronJobSpec) { s.Suspend = ptr(true) }))
		w.Advance(150*time.Minute + 30*time.Second)
		w.want("", 0)
		w.Patch(key, `{"spec":{"suspend":false}}`)
		w.Settle()
		w.want("01-01T02:30", 1)
		if got := w.news(); got != "TooManyMissedTimes 1, SuccessfulCreate 1" {
			t.Errorf("news are %q", got)
		}
		w.end(batchv1.JobComplete)
		w.Patch(key, `{"spec":{"suspend":true,"startingDeadlineSeconds":15,"successfulJobsHistoryLimit":0}}`)
		w.Advance(2 * time.Hour)
		w.Patch(key, `{"spec":{"suspend":false}}`)
		w.Settle()
		w.want("", 0)
		if got := w.news(); !strings.HasSuffix(got, "SuccessfulDelete 1, MissSchedule 1") {
			t.Errorf("news are %q", got)
		}
		w.Advance(30 * time.Second)
		w.want("01-01T04:31", 1)
	})
}

func TestTimeZone(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.CronJob, newCronJob("30 5 * * *", func(s *batchv1.CronJobSpec) { s.TimeZone = ptr("Asia/Kolkata") }))
		w.Advance(time.Minute)
		w.want("", 0)
		w.Advance(24 * time.Hour) // 05:30 there is 00:00 UTC
		w.want("01-02T05:30", 1)
		w.Patch(key, `{"spec":{"timeZone":"Nowhere/Else"}}`)
		w.Advance(48 * time.Hour)
		w.want("01-02T05:30", 1)
		if got := w.news(); !strings.HasPrefix(got, "SuccessfulCreate 1, UnknownTimeZone") {
			t.Errorf("news are %q", got)
		}
	})
}

func TestChangedSchedule(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.CronJob, newCronJob("0 0 1 1 *", nil))
		w.Advance(45 * time.Minute)
		w.Patch(key, `{"spec":{"schedule":"30 * * * *"}}`)
		w.Advance(time.Minute)
		w.want("", 0)
		w.Advance(time.Hour)
		w.want("01-01T01:30", 1)
		w.Patch(key, `{"spec":{"schedule":"59 23 31 2 *"}}`)
		w.Settle()
		w.Patch(key, `{"spec":{"schedule":"every now and then"}}`)
		w.Advance(time.Hour)
		w.want("01-01T01:30", 1)
		if got := w.news(); !strings.Contains(got, "InvalidSchedule 1, UnparseableSchedule") {
			t.Errorf("news are %q", got)
		}
	})
}

func TestEvery(t *testing.T) {
	run(t, func(w *world) {
		w.Create(controllers.CronJob, newCronJob("@every 90m", nil))
		w.Advance(89 * time.Minute)
		w.want("", 0)
		w.Advance(95 * time.Minute)
		w.want("01-01T01:30 01-01T03:00", 2)
	})
}

// Another leader finds the Job that was made, and makes none for the same time.
func TestJobOfAnotherLeader(t *testing.T) {
	run(t, func(w *world) {
		c := newCronJob("0 * * * *", nil)
		w.Create(controllers.CronJob, c)
		w.Settle()
		owner := controllertest.Get[*batchv1.CronJob](w.World, key)
		made := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tick-15778140", Annotations: map[string]string{batchv1.CronJobScheduledTimestampAnnotation: "2000-01-01T01:00:00Z"},
				OwnerReferences: []metav1.OwnerReference{controllers.CronJob.Ref(owner)}},
			Spec: c.Spec.JobTemplate.Spec,
		}
		w.Advance(59*time.Minute + 59*time.Second)
		w.Create(controllers.Job, made)
		w.Advance(time.Minute)
		w.want("01-01T01:00", 1)
		if got := w.news(); got != "" {
			t.Errorf("news are %q", got)
		}
		w.Delete(controllers.Job.Key("default", made.Name), "")
		w.Settle()
		w.want("", 0)
		if got := w.news(); got != "MissingJob 1" {
			t.Errorf("news are %q", got)
		}
	})
}

// kubectl create job --from makes a Job that the CronJob hasn't asked for.
func TestJobByHand(t *testing.T) {
	run(t, func(w *world) {
		c := newCronJob("0 0 1 1 *", nil)
		w.Create(controllers.CronJob, c)
		w.Settle()
		owner := controllertest.Get[*batchv1.CronJob](w.World, key)
		w.Create(controllers.Job, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "by-hand", Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
				OwnerReferences: []metav1.OwnerReference{controllers.CronJob.Ref(owner)}},
			Spec: c.Spec.JobTemplate.Spec,
		})
		w.Settle()
		if got := w.news(); got != "UnexpectedJob 1" {
			t.Errorf("news are %q", got)
		}
		c = controllertest.Get[*batchv1.CronJob](w.World, key)
		if len(c.Status.Active) != 0 {
			t.Errorf("active are %v", c.Status.Active)
		}
	})
}

func TestRefused(t *testing.T) {
	run(t, func(w *world) {
		var full atomic.Bool
		full.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if full.Load() && method == "POST" && k.Resource == "jobs" {
				return fmt.Errorf("no more than this")
			}
			return nil
		}
		w.Create(controllers.CronJob, newCronJob("0 * * * *", nil))
		w.Advance(time.Hour)
		w.want("", 0)
		if !strings.Contains(w.news(), "FailedCreate") {
			t.Errorf("news are %q", w.news())
		}
		full.Store(false)
		w.Advance(2 * time.Minute)
		w.want("01-01T01:00", 1)
	})
}

func TestRefusedDelete(t *testing.T) {
	run(t, func(w *world) {
		var kept atomic.Bool
		kept.Store(true)
		w.API.Refuse = func(method string, k events.Key) error {
			if kept.Load() && method == "DELETE" && k.Resource == "jobs" {
				return fmt.Errorf("it is kept")
			}
			return nil
		}
		w.Create(controllers.CronJob, newCronJob("0 * * * *", func(c *batchv1.CronJobSpec) {
			c.ConcurrencyPolicy = batchv1.ReplaceConcurrent
		}))
		w.Advance(2*time.Hour + time.Minute)
		if news := w.news(); !strings.Contains(news, "FailedDelete") || strings.Contains(news, "FailedCreate") {
			t.Errorf("news are %q", news)
		}
		kept.Store(false)
		w.Advance(2 * time.Minute)
		w.want("01-01T02:00", 1)
	})
}
