package job

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
)

// count adds up what has ended: what the counters hold, what the status names and
// still has its finalizer, and what the status doesn't know of yet (fresh). A pod
// that the status names and that has lost its finalizer moves into the counters.
func (p *pass) count() {
	named := p.job.Status.UncountedTerminatedPods
	if named == nil {
		named = &batchv1.UncountedTerminatedPods{}
	}
	p.counted = map[types.UID]bool{}
	if len(named.Succeeded)+len(named.Failed) > 0 {
		kept := map[types.UID]bool{}
		for i := range p.pods {
			if p.pods[i].tracked {
				kept[p.pods[i].UID] = true
			}
		}
		gone := func(uid types.UID) bool { return !kept[uid] }
		succeeded := slices.DeleteFunc(slices.Clone(named.Succeeded), gone)
		failed := slices.DeleteFunc(slices.Clone(named.Failed), gone)
		p.next.Succeeded += int32(len(named.Succeeded) - len(succeeded))
		p.next.Failed += int32(len(named.Failed) - len(failed))
		p.next.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: none(succeeded), Failed: none(failed)}
		for _, uid := range slices.Concat(succeeded, failed) {
			p.counted[uid] = true
		}
		p.succeeded, p.failed = int32(len(succeeded)), int32(len(failed))
	} else {
		p.next.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	p.succeeded += p.next.Succeeded
	p.failed += p.next.Failed
	var newlyDone []int
	if indexed(p.job) {
		p.wasDone = parseIndexes(p.job.Status.CompletedIndexes, int(*p.job.Spec.Completions))
	}
	for i := range p.pods {
		pod := &p.pods[i]
		if !pod.tracked || p.counted[pod.UID] || indexed(p.job) && pod.index == noIndex {
			continue
		}
		switch {
		case pod.succeeded() && indexed(p.job):
			if !p.wasDone.has(pod.index) {
				newlyDone = append(newlyDone, pod.index)
			}
		case pod.succeeded():
			p.succeeded++
			p.fresh = append(p.fresh, pod)
		case pod.failed:
			if action, _ := judge(p.job.Spec.PodFailurePolicy, pod.Pod); action != batchv1.PodFailurePolicyActionIgnore {
				p.failed++
				p.fresh = append(p.fresh, pod)
			}
		}
	}
	if !indexed(p.job) {
		return
	}
	p.done = p.wasDone.and(indexesOf(newlyDone))
	p.succeeded = int32(p.done.total())
	p.next.Succeeded, p.next.CompletedIndexes = p.succeeded, p.done.String()
	if perIndex(p.job) {
		p.countFailedIndexes()
	}
}

// countFailedIndexes finds the indexes that have failed for good, and of the
// others the failed pod that the next pod of the index replaces.
func (p *pass) countFailedIndexes() {
	var was indexes
	if text := p.job.Status.FailedIndexes; text != nil {
		was = parseIndexes(*text, int(*p.job.Spec.Completions))
	}
	var lost []int
	for i := range p.pods {
		if pod := &p.pods[i]; pod.tracked && pod.index != noIndex && pod.failed && !pod.stopped && p.losesIndex(pod) {
			lost = append(lost, pod.index)
		}
	}
	p.lost = was.and(indexesOf(lost))
	text := p.lost.String()
	p.next.FailedIndexes = &text
	running := p.activeIndexes()
	p.waiting = map[int]*pod{}
	for i := range p.pods {
		pod := &p.pods[i]
		if !pod.tracked || pod.index == noIndex || !pod.failed || p.done.has(pod.index) || p.lost.has(pod.index) || running.has(pod.index) {
			continue
		}
		have := p.waiting[pod.index]
		if have == nil || attempts(have) <= attempts(pod) && !ended(pod.Pod).Before(ended(have.Pod)) {
			p.waiting[pod.index] = pod
		}
	}
}

func (p *pass) losesIndex(pod *pod) bool {
	switch action, _ := judge(p.job.Spec.PodFailurePolicy, pod.Pod); action {
	case batchv1.PodFailurePolicyActionFailIndex:
		return true
	case batchv1.PodFailurePolicyActionIgnore:
		return false
	}
	before, _ := failuresOf(pod.Pod)
	return before >= int(*p.job.Spec.BackoffLimitPerIndex)
}

// attempts is which failure of its index a pod was, less one.
func attempts(p *pod) int {
	counted, ignored := failuresOf(p.Pod)
	return counted + ignored
}

func (p *pass) activeIndexes() indexes {
	var list []int
	for _, pod := range p.active {
		if pod.index != noIndex {
			list = append(list, pod.index)
		}
	}
	return indexesOf(list)
}

// held: the pod keeps its finalizer until the next pod of its index exists, which
// takes the number of failures from it.
func (p *pass) held(pod *pod) bool {
	return p.end == nil && p.job.DeletionTimestamp == nil && p.waiting[pod.index] == pod
}

// release takes the finalizer from pods of which the status, as it is folded,
// says how they count, and writes the fresh ones into the next status.
func (p *pass) release() {
	limit := burst
	for i := range p.pods {
		pod := &p.pods[i]
		switch {
		case !pod.tracked || !p.written(pod) || p.held(pod):
		case pod.active():
			p.intents = append(p.intents, untrackUnchanged(pod.object))
		default:
			p.intents = append(p.intents, untrack(pod.object))
		}
	}
	named := p.next.UncountedTerminatedPods
	for _, pod := range p.fresh {
		switch {
		case len(named.Succeeded)+len(named.Failed) >= limit:
			return
		case pod.succeeded():
			named.Succeeded = append(named.Succeeded, pod.UID)
		case !p.held(pod):
			named.Failed = append(named.Failed, pod.UID)
		}
	}
}

// written: nothing about a pod that is tracked has to be written any more.
func (p *pass) written(pod *pod) bool {
	valid := !indexed(p.job) || pod.index != noIndex
	switch {
	case p.counted[pod.UID]:
		return true
	case pod.succeeded():
		return !valid || indexed(p.job) && p.wasDone.has(pod.index)
	case pod.failed:
		if !valid {
			return true
		}
		action, _ := judge(p.job.Spec.PodFailurePolicy, pod.Pod)
		return action == batchv1.PodFailurePolicyActionIgnore
	case p.job.DeletionTimestamp != nil:
		return true
	}
	// It runs. Once the success policy is met nobody waits for it.
	return isTrue(condition(&p.job.Status, batchv1.JobSuccessCriteriaMet))
}

// none is nil for an empty list: so it is after it was read from the log.
func none(list []types.UID) []types.UID {
	if len(list) == 0 {
		return nil
	}
	return list
}
