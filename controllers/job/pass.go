package job

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// readyDelay is how long a status that differs in ready only may stay unwritten.
const readyDelay = 2 * time.Second

// pass is one look at a Job that isn't finished.
type pass struct {
	s       *projections.Snapshot
	o       *events.Object
	job     *batchv1.Job
	now     time.Time
	failure error // what stopped the last pass

	pods   []pod
	active []*pod

	// What is counted, written or not yet.
	succeeded, failed int32
	done              indexes            // succeeded indexes; Indexed only
	wasDone           indexes            // of them, those in the status
	lost              indexes            // failed indexes; with a back-off limit per index only
	waiting           map[int]*pod       // of an index: the failed pod that its next one replaces
	counted           map[types.UID]bool // pods that the status names as succeeded or failed
	fresh             []*pod             // pods that count and that the status doesn't know of yet

	end *batchv1.JobCondition // FailureTarget or SuccessCriteriaMet, once it is clear how the Job ends

	next    batchv1.JobStatus
	steps   []events.Step
	intents []controllers.Intent
	again   time.Duration
}

func newPass(s *projections.Snapshot, o *events.Object, job *batchv1.Job, pods []pod, now time.Time) *pass {
	p := &pass{s: s, o: o, job: job, now: now, pods: pods, next: job.Status}
	ready, terminating := int32(0), int32(0)
	for i := range pods {
		switch pod := &pods[i]; {
		case pod.active():
			p.active = append(p.active, pod)
			if !readySince(pod.Pod).IsZero() {
				ready++
			}
		case pod.terminating():
			terminating++
		}
	}
	p.next.Active, p.next.Ready, p.next.Terminating = int32(len(p.active)), &ready, &terminating
	p.next.Conditions = append([]batchv1.JobCondition(nil), job.Status.Conditions...)
	if job.Status.StartTime == nil && !suspended(job) {
		p.next.StartTime = p.time()
	}
	return p
}

// time is now as the API writes it.
func (p *pass) time() *metav1.Time {
	t := metav1.NewTime(p.now.Truncate(time.Second))
	return &t
}

// requeue asks for another pass after that time.
func (p *pass) requeue(after time.Duration) {
	if after > 0 && (p.again == 0 || after < p.again) {
		p.again = after
	}
}

func (p *pass) say(reason, note string) {
	p.steps = append(p.steps, events.Step{Reason: reason, Note: note})
}

// result is the new status, if it is to be written, and what else is to be done.
func (p *pass) result() controllers.Result {
	r := controllers.Result{Intents: p.intents}
	if p.worthWriting() {
		updated := *p.job
		updated.Status = p.next
		progressed := controllers.Progressed(p.o, &updated)
		if len(p.steps) > 0 {
			progressed.Reason, progressed.Note = events.JoinSteps(p.steps)
		} else if p.failure != nil {
			reason, doing, message := controllers.Refusal(p.failure)
			progressed = progressed.Because(reason, "Error %s: %s", doing, message)
		}
		// First: after a refused create nothing more is started.
		r.Intents = append([]controllers.Intent{progressed}, p.intents...)
	}
	r.RequeueAfter = p.again
	if n := len(p.pods); n > 1 {
		r.Quiet = min(time.Duration(n)*quietPerPod, longestQuiet)
	}
	return r
}

func (p *pass) worthWriting() bool {
	if apiequality.Semantic.DeepEqual(&p.job.Status, &p.next) {
		return false
	}
	if p.job.Status.Ready == nil {
		return true
	}
	same := p.next
	same.Ready = p.job.Status.Ready
	if !apiequality.Semantic.DeepEqual(&p.job.Status, &same) {
		return true
	}
	newest := time.Time{}
	for _, pod := range p.active {
		if since := readySince(pod.Pod); since.After(newest) {
			newest = since
		}
	}
	wait := newest.Add(readyDelay).Sub(p.now)
	if wait <= 0 {
		return true
	}
	p.requeue(wait)
	return false
}

// Finished gives the condition that ends the Job, nil if it hasn't ended.
func Finished(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func condition(status *batchv1.JobStatus, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == t {
			return &status.Conditions[i]
		}
	}
	return nil
}

func isTrue(c *batchv1.JobCondition) bool { return c != nil && c.Status == corev1.ConditionTrue }

func (p *pass) condition(t batchv1.JobConditionType, status corev1.ConditionStatus, reason, message string) *batchv1.JobCondition {
	return &batchv1.JobCondition{Type: t, Status: status, LastProbeTime: *p.time(), LastTransitionTime: *p.time(), Reason: reason, Message: message}
}

// set writes a condition into the next status; it reports whether that changes
// anything. One that isn't there doesn't become false.
func (p *pass) set(c *batchv1.JobCondition) bool {
	have := condition(&p.next, c.Type)
	switch {
	case have == nil && c.Status != corev1.ConditionTrue:
		return false
	case have == nil:
		p.next.Conditions = append(p.next.Conditions, *c)
	case have.Status == c.Status && have.Reason == c.Reason && have.Message == c.Message:
		return false
	default:
		*have = *c
	}
	return true
}
