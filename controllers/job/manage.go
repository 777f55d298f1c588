package job

import (
	"cmp"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
)

// manage keeps as many pods active as a Job wants that isn't at its end, and
// notices when it is.
func (p *pass) manage() {
	live := p.job.DeletionTimestamp == nil
	if live {
		p.steer()
	}
	active := p.next.Active
	if n := p.job.Spec.Completions; active == 0 && (n == nil && p.succeeded > 0 || n != nil && p.succeeded >= *n) {
		p.end = p.condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
		p.wind()
		return
	}
	switch {
	case !live:
	case suspended(p.job):
		if p.set(p.condition(batchv1.JobSuspended, corev1.ConditionTrue, "JobSuspended", "Job suspended")) {
			p.say("Suspended", "Job suspended")
			p.next.StartTime = nil
		}
	default:
		if p.set(p.condition(batchv1.JobSuspended, corev1.ConditionFalse, "JobResumed", "Job resumed")) {
			p.say("Resumed", "Job resumed")
			p.next.StartTime = p.time()
		}
	}
}

// steer deletes or creates pods, one of both.
func (p *pass) steer() {
	if suspended(p.job) {
		p.dismiss(p.active)
		return
	}
	active, want := len(p.active), p.wanted()
	if doomed := p.superfluous(max(0, active-want)); len(doomed) > 0 {
		p.dismiss(doomed)
		return
	}
	if replacesFailedOnly(p.job) {
		want -= int(*p.next.Terminating)
	}
	if n := want - active; n > 0 {
		p.create(min(n, burst))
	}
}

// wanted is how many pods are to be active.
func (p *pass) wanted() int {
	parallel := int(*p.job.Spec.Parallelism)
	switch n := p.job.Spec.Completions; {
	case n != nil:
		return max(0, min(int(*n)-int(p.succeeded), parallel))
	case p.succeeded > 0: // a work queue that is empty: nobody new, the others finish
		return len(p.active)
	}
	return parallel
}

// superfluous gives active pods that are to go, n at least: those that can't count
// (no finalizer, no valid index), all but one of an index, then those that have come
// least far.
func (p *pass) superfluous(n int) []*pod {
	var rm, left []*pod
	best := map[int]*pod{}
	for _, pod := range p.active {
		switch have := best[pod.index]; {
		case !pod.tracked:
			rm = append(rm, pod)
		case !indexed(p.job):
			left = append(left, pod)
		case pod.index == noIndex:
			rm = append(rm, pod)
		case have == nil:
			best[pod.index] = pod
		case further(pod, have) > 0:
			rm, best[pod.index] = append(rm, have), pod
		default:
			rm = append(rm, pod)
		}
	}
	for _, pod := range p.active {
		if indexed(p.job) && best[pod.index] == pod {
			left = append(left, pod)
		}
	}
	if more := n - len(rm); more > 0 {
		slices.SortStableFunc(left, further)
		rm = append(rm, left[:min(more, len(left))]...)
	}
	return rm[:min(len(rm), burst)]
}

// further orders active pods by how far they have come: bound, running, ready,
// ready for longer, fewer restarts, older.
func further(a, b *pod) int {
	return cmp.Or(
		truth(a.Spec.NodeName != "")-truth(b.Spec.NodeName != ""),
		truth(a.Status.Phase == corev1.PodRunning)-truth(b.Status.Phase == corev1.PodRunning),
		truth(!readySince(a.Pod).IsZero())-truth(!readySince(b.Pod).IsZero()),
		readySince(b.Pod).Compare(readySince(a.Pod)),
		cmp.Compare(restarts(b.Pod), restarts(a.Pod)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// dismiss sends active pods away that are not to count: first their finalizer
// goes, and when that is folded, they are deleted.
func (p *pass) dismiss(pods []*pod) {
	var free []*pod
	for _, pod := range pods {
		if pod.tracked {
			p.intents = append(p.intents, untrackUnchanged(pod.object))
		} else {
			free = append(free, pod)
		}
	}
	p.remove(free)
}

// remove deletes active pods.
func (p *pass) remove(pods []*pod) {
	for _, pod := range pods[:min(len(pods), burst)] {
		p.intents = append(p.intents, controllers.Delete(pod.object).Because("SuccessfulDelete", "Deleted pod: %s", pod.Name))
		p.next.Active--
		*p.next.Terminating++
		if !readySince(pod.Pod).IsZero() {
			*p.next.Ready--
		}
	}
}
