package job_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/events"
)

// fate is what happens to a Job and its pods.
type fate struct {
	job    *batchv1.Job
	steps  []step
	refuse int // every so many-th write of a controller is refused; 0: none
}

type step struct {
	what string
	pod  int
	wait time.Duration
}

func drawFate(t *rapid.T) fate {
	completions, parallelism := int32(rapid.IntRange(1, 6).Draw(t, "completions")), int32(rapid.IntRange(1, 4).Draw(t, "parallelism"))
	spec := func(s *batchv1.JobSpec) {
		s.BackoffLimit = ptr(int32(rapid.IntRange(0, 8).Draw(t, "backoffLimit")))
		s.PodReplacementPolicy = ptr(rapid.SampledFrom([]batchv1.PodReplacementPolicy{batchv1.TerminatingOrFailed, batchv1.Failed}).Draw(t, "replace"))
	}
	var j *batchv1.Job
	switch rapid.SampledFrom([]string{"count", "queue", "indexed", "per index"}).Draw(t, "mode") {
	case "count":
		j = newJob(func(s *batchv1.JobSpec) { spec(s); s.Completions, s.Parallelism = &completions, &parallelism })
	case "queue":
		j = newJob(func(s *batchv1.JobSpec) { spec(s); s.Parallelism = &parallelism })
	case "indexed":
		j = indexedJob(completions, parallelism, spec)
	case "per index":
		j = indexedJob(completions, parallelism, func(s *batchv1.JobSpec) { spec(s); s.BackoffLimitPerIndex = ptr(int32(1)) })
	}
	f := fate{job: j, refuse: rapid.SampledFrom([]int{0, 5, 11}).Draw(t, "refuse")}
	for range rapid.IntRange(0, 25).Draw(t, "steps") {
		f.steps = append(f.steps, step{
			what: rapid.SampledFrom([]string{"succeed", "succeed", "fail", "fail", "delete", "leader", "parallelism", "suspend", "touch"}).Draw(t, "what"),
			pod:  rapid.IntRange(0, 5).Draw(t, "pod"),
			wait: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 100, 3000, 12000}).Draw(t, "wait")) * time.Millisecond,
		})
	}
	return f
}

// TestEachPodIsCountedOnce lets pods end and go and leaders change at any time,
// and reads in the log that every pod that ended was counted, once.
func TestEachPodIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, wrong := drawFate(rt), ""
		synctest.Test(t, func(t *testing.T) { wrong = live(t, f) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// live lets it all happen, and says what was wrong.
func live(t *testing.T, f fate) string {
	w := &world{World: controllertest.NewWorld(t), t: t}
	defer w.Stop()
	var writes atomic.Int64
	w.API.Refuse = func(_ string, k events.Key) error {
		if f.refuse > 0 && !w.calm.Load() && k.Resource == "pods" && writes.Add(1)%int64(f.refuse) == 0 {
			return apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, k.Name, nil)
		}
		return nil
	}
	lead := leaders(w)
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w.Schedule("n1")
	w.Create(controllers.Job, f.job)
	for _, s := range f.steps {
		w.Advance(s.wait)
		w.do(s, lead)
	}
	w.calm.Store(true)
	w.Patch(key, `{"spec":{"suspend":false,"parallelism":3}}`)
	for range 100 {
		if job.Finished(controllertest.Get[*batchv1.Job](w.World, key)) != nil {
			break
		}
		w.Advance(time.Minute)
		for _, pod := range w.pods() {
			w.report(pod, controllertest.Succeeded)
		}
	}
	w.Advance(time.Minute)
	lead(false)
	return readLog(w)
}

// leaders runs the controllers, and gives the way to change who leads: at once,
// whatever the old leader is doing.
func leaders(w *world) (change func(again bool)) {
	n, stop, done := 0, context.CancelFunc(func() {}), make(chan error, 1)
	start := func() {
		var ctx context.Context
		ctx, stop = context.WithCancel(context.Background())
		n++
		holder := strconv.Itoa(n)
		go func() {
			done <- controllers.Run(ctx, controllers.Options{Bus: w.Bus, Projection: w.Projection, Intake: w.API.Intake, Holder: holder}, job.New(), podgc.New())
		}()
	}
	start()
	return func(again bool) {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		if again {
			start()
		}
	}
}

func (w *world) report(pod *corev1.Pod, is controllertest.State) {
	if err := w.Nodes.Report(context.Background(), pod, is); err != nil {
		w.t.Error(err)
	}
}

func (w *world) do(s step, lead func(bool)) {
	pods := w.pods()
	switch s.what {
	case "leader":
		lead(true)
	case "parallelism":
		w.Patch(key, `{"spec":{"parallelism":%d}}`, s.pod)
	case "suspend":
		w.Patch(key, `{"spec":{"suspend":%t}}`, s.pod%2 == 0)
	case "touch":
		w.Patch(key, `{"metadata":{"annotations":{"touched":"%d"}}}`, w.Snapshot().Position())
	}
	if len(pods) == 0 {
		return
	}
	pod := pods[s.pod%len(pods)]
	switch s.what {
	case "succeed":
		w.report(pod, controllertest.Succeeded)
	case "fail":
		w.report(pod, controllertest.Failed)
	case "delete":
		w.calm.Store(true)
		w.Delete(controllers.Pod.Key("default", pod.Name), "")
		w.calm.Store(false)
	}
}

// ledger is what a reader of the log knows about the pods of the Job.
type ledger struct {
	ended    map[string]bool // pods that had ended or were being deleted at some time
	named    map[string]bool // uids that the status named as succeeded or failed
	settled  map[string]bool // of them, those that it names no more
	failed   map[string]bool
	limit    []int32 // spec.parallelism, as it was set
	failing  bool    // FailureTarget is in the status
	finished bool
}

// readLog folds the log and says what was wrong in it.
func readLog(w *world) string {
	l := &ledger{ended: map[string]bool{}, named: map[string]bool{}, settled: map[string]bool{}, failed: map[string]bool{}}
	objects := map[events.Key]*events.Object{}
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			return err.Error()
		}
		if e.Type == events.Elected {
			continue
		}
		before := objects[e.Key]
		after, err := events.Fold(before, e)
		if err != nil {
			continue // void
		}
		objects[e.Key] = after
		wrong := ""
		switch e.Key.Resource {
		case "jobs":
			wrong = l.jobChanged(after, objects)
		case "pods":
			wrong = l.podChanged(e, before, after, objects)
		}
		if wrong != "" {
			return fmt.Sprintf("at %d (%s %s): %s", e.Sequence, e.Key, e.Type, wrong)
		}
	}
	if !l.finished {
		return "the job doesn't end: " + w.status()
	}
	if n := w.tracked(); n > 0 {
		return fmt.Sprintf("%d finalizers are left", n)
	}
	return ""
}

func (l *ledger) jobChanged(o *events.Object, objects map[events.Key]*events.Object) string {
	j := o.Value.(*batchv1.Job)
	if n := *j.Spec.Parallelism; len(l.limit) == 0 || l.limit[len(l.limit)-1] != n {
		l.limit = append(l.limit, n)
	}
	if l.finished {
		return ""
	}
	now := map[string]bool{}
	if u := j.Status.UncountedTerminatedPods; u != nil {
		for i, uid := range slices.Concat(u.Succeeded, u.Failed) {
			if l.settled[string(uid)] || now[string(uid)] {
				return fmt.Sprintf("pod %s is named twice", uid)
			}
			now[string(uid)] = true
			if i >= len(u.Succeeded) {
				l.failed[string(uid)] = true
			}
		}
	}
	for uid := range l.named {
		l.settled[uid] = !now[uid]
	}
	for uid := range now {
		l.named[uid] = true
	}
	if job.Finished(j) == nil {
		l.failing = l.failing || slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobFailureTarget })
		settled := 0
		for _, is := range l.settled {
			if is {
				settled++
			}
		}
		if indexed(j) {
			settled += int(j.Status.Succeeded)
		}
		if got := int(j.Status.Succeeded + j.Status.Failed); got != settled || got+len(now) > len(l.ended)+len(now) {
			return fmt.Sprintf("%d pods are counted, %d were to be; %d ended", got, settled, len(l.ended))
		}
		return ""
	}
	l.finished = true
	return l.atTheEnd(j, objects)
}

func indexed(j *batchv1.Job) bool { return *j.Spec.CompletionMode == batchv1.IndexedCompletion }

// atTheEnd compares the final count with all pods that there were.
func (l *ledger) atTheEnd(j *batchv1.Job, objects map[events.Key]*events.Object) string {
	for _, o := range objects {
		pod, ok := valueOf(o)
		if !ok || len(pod.Finalizers) == 0 || l.named[string(pod.UID)] {
			continue
		}
		switch {
		case pod.Status.Phase == corev1.PodFailed, done(pod) && l.failing && pod.DeletionTimestamp != nil:
			l.failed[string(pod.UID)] = true
		case pod.Status.Phase != corev1.PodSucceeded:
			return "pod " + pod.Name + " runs yet"
		}
		l.named[string(pod.UID)] = true
	}
	succeeded := len(l.named) - len(l.failed)
	if indexed(j) {
		succeeded = int(j.Status.Succeeded) // indexes; podChanged looks at each
	}
	if int(j.Status.Failed) != len(l.failed) || int(j.Status.Succeeded) != succeeded {
		return fmt.Sprintf("%d succeeded and %d failed are counted, there were %d and %d", j.Status.Succeeded, j.Status.Failed, succeeded, len(l.failed))
	}
	return ""
}

func valueOf(o *events.Object) (*corev1.Pod, bool) {
	if o == nil || !o.Exists() {
		return nil, false
	}
	pod, ok := o.Value.(*corev1.Pod)
	return pod, ok
}

func (l *ledger) podChanged(e *events.Event, before, after *events.Object, objects map[events.Key]*events.Object) string {
	old, had := valueOf(before)
	pod, has := valueOf(after)
	if has && (pod.DeletionTimestamp != nil || done(pod)) {
		l.ended[string(pod.UID)] = true
	}
	if had && len(old.Finalizers) > 0 && (!has || len(pod.Finalizers) == 0) && !l.finished {
		j := objects[key].Value.(*batchv1.Job)
		index := old.Annotations[batchv1.JobCompletionIndexAnnotation]
		switch uid := string(old.UID); {
		case l.named[uid], !done(old) && old.DeletionTimestamp == nil:
		case indexed(j) && old.Status.Phase == corev1.PodSucceeded && slices.Contains(list(j.Status.CompletedIndexes), index):
		default:
			return "it lost its finalizer before it was counted"
		}
	}
	if e.Type == events.Created {
		active := int32(0)
		for _, o := range objects {
			if p, ok := valueOf(o); ok && !done(p) && p.DeletionTimestamp == nil {
				active++
			}
		}
		// The user may have lowered the limit a moment before.
		if limit := slices.Max(l.limit[max(0, len(l.limit)-2):]); active > limit {
			return fmt.Sprintf("%d pods are active, the limit is %d", active, limit)
		}
	}
	return ""
}

func done(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// list gives each index of "0,2-4".
func list(text string) []string {
	var out []string
	for i := range 10 {
		if slices.Contains(expand(text), i) {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}

func expand(text string) []int {
	var out []int
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '-':
			for n := out[len(out)-1] + 1; n < int(text[i+1]-'0'); n++ {
				out = append(out, n)
			}
		case c >= '0' && c <= '9':
			out = append(out, int(c-'0'))
		}
	}
	return out
}
