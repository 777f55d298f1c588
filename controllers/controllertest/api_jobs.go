package controllertest

import (
	"math"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// setJobDefaults is what the API fills in for a Job, and the selector that it makes.
func setJobDefaults(job *batchv1.Job) {
	spec := &job.Spec
	if spec.Completions == nil && spec.Parallelism == nil {
		spec.Completions = orDefault(nil, 1)
	}
	spec.Parallelism = orDefault(spec.Parallelism, 1)
	limit := int32(6)
	if spec.BackoffLimitPerIndex != nil {
		limit = math.MaxInt32
	}
	spec.BackoffLimit = orDefault(spec.BackoffLimit, limit)
	if spec.PodReplacementPolicy == nil {
		policy := batchv1.TerminatingOrFailed
		if spec.PodFailurePolicy != nil {
			policy = batchv1.Failed
		}
		spec.PodReplacementPolicy = &policy
	}
	if spec.CompletionMode == nil {
		mode := batchv1.NonIndexedCompletion
		spec.CompletionMode = &mode
	}
	if spec.Suspend == nil {
		spec.Suspend = new(bool)
	}
	if spec.ManualSelector != nil && *spec.ManualSelector {
		return
	}
	uid := string(job.UID)
	labels := map[string]string{}
	for k, v := range spec.Template.Labels {
		labels[k] = v
	}
	labels[batchv1.ControllerUidLabel], labels["controller-uid"] = uid, uid
	labels[batchv1.JobNameLabel], labels["job-name"] = job.Name, job.Name
	spec.Template.Labels = labels
	spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: uid}}
}

func setCronJobDefaults(cron *batchv1.CronJob) {
	spec := &cron.Spec
	if spec.ConcurrencyPolicy == "" {
		spec.ConcurrencyPolicy = batchv1.AllowConcurrent
	}
	if spec.Suspend == nil {
		spec.Suspend = new(bool)
	}
	spec.SuccessfulJobsHistoryLimit = orDefault(spec.SuccessfulJobsHistoryLimit, 3)
	spec.FailedJobsHistoryLimit = orDefault(spec.FailedJobsHistoryLimit, 1)
}
