package job_test

import (
	"encoding/json"
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
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// world is one where pods run until the test ends them.
type world struct {
	*controllertest.World
	t    *testing.T
	calm atomic.Bool // no write is refused
}

func run(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: controllertest.NewWorld(t), t: t}
		defer w.Stop()
		w.InFlight = 1
		w.Run(job.New(), podgc.New(), garbage.New())
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Schedule("n1")
		f(w)
	})
}

// story is a transcript of what tells something; how often a status is written
// meanwhile depends on who is first.
func (w *world) story(name string) *controllertest.Transcript {
	script := controllertest.NewTranscript(w.World, name)
	script.Keep = func(e *events.Event) bool {
		return e.Prefix == events.PrefixDecision && e.Type != events.Elected && (e.Reason != "" || e.Type == events.Updated) && !strings.HasSuffix(e.Actor, "pod-garbage-collector")
	}
	return script
}

// settle lets everything happen that doesn't wait for seconds to pass.
func (w *world) settle() { w.Advance(100 * time.Millisecond) }

// pods gives the pods that haven't ended, by name.
func (w *world) pods() []*corev1.Pod {
	var out []*corev1.Pod
	for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && pod.DeletionTimestamp == nil {
			out = append(out, pod)
		}
	}
	return out
}

func (w *world) end(pod *corev1.Pod, is controllertest.State) {
	w.t.Helper()
	if err := w.Nodes.Report(w.t.Context(), pod, is); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

// exit ends a pod with a code.
func (w *world) exit(pod *corev1.Pod, code int32) {
	w.t.Helper()
	phase := corev1.PodFailed
	if code == 0 {
		phase = corev1.PodSucceeded
	}
	now, err := json.Marshal(metav1.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.PatchStatus(controllers.Pod.Key(pod.Namespace, pod.Name), `{"status":{"phase":%q,"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":%d,"finishedAt":%s}}}]}}`, phase, code, now)
	w.settle()
}

// ofIndex gives the pod of an index that hasn't ended.
func (w *world) ofIndex(index string) *corev1.Pod {
	w.t.Helper()
	for _, pod := range w.pods() {
		if pod.Annotations[batchv1.JobCompletionIndexAnnotation] == index {
			return pod
		}
	}
	w.t.Fatalf("no pod of index %s runs", index)
	return nil
}

func (w *world) status() string {
	j := controllertest.Get[*batchv1.Job](w.World, key)
	s := j.Status
	text := fmt.Sprintf("%d active, %d succeeded, %d failed", s.Active, s.Succeeded, s.Failed)
	if s.Terminating != nil && *s.Terminating > 0 {
		text += fmt.Sprintf(", %d terminating", *s.Terminating)
	}
	if u := s.UncountedTerminatedPods; u != nil && len(u.Succeeded)+len(u.Failed) > 0 {
		text += fmt.Sprintf(", uncounted %d", len(u.Succeeded)+len(u.Failed))
	}
	if s.CompletedIndexes != "" {
		text += ", completed " + s.CompletedIndexes
	}
	if s.FailedIndexes != nil && *s.FailedIndexes != "" {
		text += ", lost " + *s.FailedIndexes
	}
	for _, c := range s.Conditions {
		text += fmt.Sprintf("; %s=%s %s (%s)", c.Type, c.Status, c.Reason, c.Message)
	}
	return text
}

func (w *world) want(want string) {
	w.t.Helper()
	if got := w.status(); got != want {
		w.t.Errorf("status is\n%s, want\n%s", got, want)
	}
}

// tracked counts the pods that still have the finalizer.
func (w *world) tracked() int {
	n := 0
	for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
		n += len(pod.Finalizers)
	}
	return n
}

const complete = "; SuccessCriteriaMet=True CompletionsReached (Reached expected number of succeeded pods)" +
	"; Complete=True CompletionsReached (Reached expected number of succeeded pods)"

func failed(reason, message string) string {
	return fmt.Sprintf("; FailureTarget=True %s (%s); Failed=True %[1]s (%[2]s)", reason, message)
}
