package job

import (
	"math"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// pod is a pod of a Job with what a pass needs to know of it again and again.
type pod struct {
	*corev1.Pod
	object  *events.Object
	index   int  // completion index, noIndex if it has none that is valid
	tracked bool // it has the finalizer: it is not settled whether it is counted
	failed  bool // it counts as failed: its phase says so, or it is being deleted and the Job doesn't wait
	stopped bool // it is being deleted because the Job fails: failed, however it ends
}

const noIndex = -1

func (p *pod) succeeded() bool { return p.Status.Phase == corev1.PodSucceeded && !p.stopped }
func (p *pod) over() bool      { return controllers.Finished(p.Pod) }
func (p *pod) active() bool    { return !p.over() && p.DeletionTimestamp == nil }

// terminating: it is being deleted and hasn't ended yet.
func (p *pod) terminating() bool { return !p.over() && p.DeletionTimestamp != nil }

func tracked(m metav1.Object) bool {
	return slices.Contains(m.GetFinalizers(), batchv1.JobTrackingFinalizer)
}

func podsOf(job *batchv1.Job, objects []*events.Object) []pod {
	pods := make([]pod, len(objects))
	patient, failing := replacesFailedOnly(job), isTrue(condition(&job.Status, batchv1.JobFailureTarget))
	for i, o := range objects {
		p := o.Value.(*corev1.Pod)
		pods[i] = pod{Pod: p, object: o, index: noIndex, tracked: tracked(p)}
		pods[i].stopped = failing && p.DeletionTimestamp != nil
		pods[i].failed = p.Status.Phase == corev1.PodFailed || pods[i].stopped || !patient && pods[i].terminating()
		if indexed(job) {
			pods[i].index = indexOf(p, int(*job.Spec.Completions))
		}
	}
	return pods
}

// replacesFailedOnly: a pod is replaced when it has ended, not already when it
// is being deleted.
func replacesFailedOnly(job *batchv1.Job) bool {
	return job.Spec.PodReplacementPolicy != nil && *job.Spec.PodReplacementPolicy == batchv1.Failed
}

func indexed(job *batchv1.Job) bool {
	return job.Spec.CompletionMode != nil && *job.Spec.CompletionMode == batchv1.IndexedCompletion
}

func perIndex(job *batchv1.Job) bool { return job.Spec.BackoffLimitPerIndex != nil }

func suspended(job *batchv1.Job) bool { return job.Spec.Suspend != nil && *job.Spec.Suspend }

func indexOf(p *corev1.Pod, completions int) int {
	i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || i < 0 || i >= completions {
		return noIndex
	}
	return i
}

// failuresOf is how often the pod's index had failed before it, counted and ignored.
func failuresOf(p *corev1.Pod) (counted, ignored int) {
	return number(p.Annotations[batchv1.JobIndexFailureCountAnnotation]), number(p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation])
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return n
}

// readySince is when the pod became ready, zero if it isn't.
func readySince(p *corev1.Pod) time.Time {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			if c.LastTransitionTime.IsZero() {
				return time.Unix(1, 0)
			}
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// restarts counts the restarts of a pod's containers.
func restarts(p *corev1.Pod) int32 {
	n := int32(0)
	for i := range p.Status.InitContainerStatuses {
		n += p.Status.InitContainerStatuses[i].RestartCount
	}
	for i := range p.Status.ContainerStatuses {
		n += p.Status.ContainerStatuses[i].RestartCount
	}
	return n
}
