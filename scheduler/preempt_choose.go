package scheduler

import (
	"cmp"
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leastHarm chooses among candidates, in Kubernetes' order: the fewest budgets overdrawn,
// the lowest highest priority, the lowest sum of priorities, the fewest
// victims, the latest start of the most important ones; then the first by name.
func leastHarm(all []*candidate) *candidate {
	best := all[0]
	for _, c := range all[1:] {
		if harm(c, best) < 0 {
			best = c
		}
	}
	return best
}

func harm(a, b *candidate) int {
	return cmp.Or(
		cmp.Compare(a.violations, b.violations),
		cmp.Compare(a.victims[0].priority, b.victims[0].priority),
		cmp.Compare(a.sum(), b.sum()),
		cmp.Compare(len(a.victims), len(b.victims)),
		b.since().Compare(a.since().Time),
		cmp.Compare(a.node.name, b.node.name),
	)
}

// sum adds up priorities, each moved above zero: two pods always weigh more than one of them.
func (c *candidate) sum() (out int64) {
	for _, v := range c.victims {
		out += int64(v.priority) + math.MaxInt32 + 1
	}
	return out
}

// since is when the first of its most important victims started.
func (c *candidate) since() *metav1.Time {
	first := startOf(c.victims[0].pod)
	for _, v := range c.victims[1:] {
		if s := startOf(v.pod); v.priority == c.victims[0].priority && s.Before(first) {
			first = s
		}
	}
	return first
}

// startOf is when a pod started; one that didn't yet counts as of its creation.
func startOf(pod *corev1.Pod) *metav1.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime
	}
	return &pod.CreationTimestamp
}
