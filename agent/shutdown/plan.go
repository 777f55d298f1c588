package shutdown

import (
	"cmp"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
)

// critical is the priority from which on a pod is critical.
const critical = 2000000000

// Period is how long pods of a priority and above, up to the next period's, get.
type Period struct {
	Priority int32
	Grace    time.Duration
}

// Periods are those of the kubelet's two settings: all is what the shutdown may
// take, last the part of it that is kept for critical pods.
func Periods(all, last time.Duration) []Period {
	if all <= 0 {
		return nil
	}
	last = min(max(last, 0), all)
	return []Period{{0, all - last}, {critical, last}}
}

// Group are pods that end together.
type Group struct {
	Grace time.Duration
	Pods  []*v1.Pod
}

// Plan groups pods by periods, those that end first first. A pod whose priority
// is below all periods belongs to the lowest. Groups without pods are left out.
func Plan(periods []Period, pods []*v1.Pod) []Group {
	if len(periods) == 0 {
		return nil
	}
	periods = slices.Clone(periods)
	slices.SortFunc(periods, func(x, y Period) int { return cmp.Compare(x.Priority, y.Priority) })
	groups := make([]Group, len(periods))
	for i, p := range periods {
		groups[i].Grace = p.Grace
	}
	for _, pod := range pods {
		var priority int32
		if pod.Spec.Priority != nil {
			priority = *pod.Spec.Priority
		}
		at := 0
		for i, p := range periods {
			if priority >= p.Priority {
				at = i
			}
		}
		groups[at].Pods = append(groups[at].Pods, pod)
	}
	return slices.DeleteFunc(groups, func(g Group) bool { return len(g.Pods) == 0 })
}

// GraceOf is how long a pod of a group may take: its own period, but not more than
// the group has.
func (g Group) GraceOf(pod *v1.Pod) time.Duration {
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		return min(g.Grace, time.Duration(*s)*time.Second)
	}
	return g.Grace
}
