package job

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// decide says how the Job ends, once that is clear. What an earlier pass decided
// stays; a failure comes before a success.
func (p *pass) decide() {
	switch {
	case isTrue(condition(&p.job.Status, batchv1.JobSuccessCriteriaMet)):
		p.end = condition(&p.job.Status, batchv1.JobSuccessCriteriaMet)
	case isTrue(condition(&p.job.Status, batchv1.JobFailureTarget)):
		p.end = condition(&p.job.Status, batchv1.JobFailureTarget)
	default:
		if p.decideFailure(); p.end == nil && indexed(p.job) {
			if rule := criteriaMet(p.job.Spec.SuccessPolicy, int(*p.job.Spec.Completions), p.done); rule != "" {
				p.end = p.condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, batchv1.JobReasonSuccessPolicy, rule)
			}
		}
	}
}

func (p *pass) decideFailure() {
	if p.job.Spec.PodFailurePolicy != nil {
		for i := range p.pods {
			if !p.pods[i].failed {
				continue
			}
			if action, message := judge(p.job.Spec.PodFailurePolicy, p.pods[i].Pod); action == batchv1.PodFailurePolicyActionFailJob {
				p.fail(batchv1.JobReasonPodFailurePolicy, message)
				return
			}
		}
	}
	spec := &p.job.Spec
	switch {
	case p.failed > *spec.BackoffLimit || p.restartedTooOften():
		p.fail(batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	case p.pastDeadline():
		p.fail(batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	case indexed(p.job) && perIndex(p.job) && spec.MaxFailedIndexes != nil && p.lost.total() > int(*spec.MaxFailedIndexes):
		p.fail(batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
	case indexed(p.job) && perIndex(p.job) && len(p.lost) > 0 && p.lost.total()+p.done.total() >= int(*spec.Completions):
		p.fail(batchv1.JobReasonFailedIndexes, "Job has failed indexes")
	}
}

func (p *pass) fail(reason, message string) {
	p.end = p.condition(batchv1.JobFailureTarget, corev1.ConditionTrue, reason, message)
}

// restartedTooOften: containers that are restarted in place count for the back-off
// limit, too.
func (p *pass) restartedTooOften() bool {
	if p.job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	n := int32(0)
	for i := range p.pods {
		if phase := p.pods[i].Status.Phase; phase == corev1.PodRunning || phase == corev1.PodPending {
			n += restarts(p.pods[i].Pod)
		}
	}
	return n > 0 && n >= *p.job.Spec.BackoffLimit
}

func (p *pass) pastDeadline() bool {
	if p.job.Spec.ActiveDeadlineSeconds == nil || p.next.StartTime == nil || suspended(p.job) {
		return false
	}
	left := p.next.StartTime.Add(time.Duration(*p.job.Spec.ActiveDeadlineSeconds) * time.Second).Sub(p.now)
	p.requeue(left)
	return left <= 0
}

// wind brings the Job to the end that was decided: its pods go, and when all have
// ended, count and end are written as one.
func (p *pass) wind() {
	failing := p.end.Type == batchv1.JobFailureTarget
	var doomed []*pod
	for _, pod := range p.active {
		if failing || !pod.tracked {
			doomed = append(doomed, pod)
		}
	}
	over := len(p.active) == 0 && *p.next.Terminating == 0
	p.remove(doomed)
	p.set(p.end)
	if over {
		p.finish(failing)
	}
}

func (p *pass) finish(failing bool) {
	p.next.Succeeded, p.next.Failed = p.succeeded, p.failed
	p.next.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	t := batchv1.JobComplete
	if failing {
		t = batchv1.JobFailed
	}
	p.set(p.condition(t, corev1.ConditionTrue, p.end.Reason, p.end.Message))
	if failing {
		p.say(p.end.Reason, p.end.Message)
		return
	}
	p.next.CompletionTime = p.time()
	if n := p.job.Spec.Completions; n != nil && p.succeeded > *n {
		p.say("TooManySucceededPods", "Too many succeeded pods running after completion count reached")
	}
	p.say("Completed", "Job completed")
}
