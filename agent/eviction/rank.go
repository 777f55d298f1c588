package eviction

import (
	"cmp"
	"slices"

	v1 "k8s.io/api/core/v1"
	helpers "k8s.io/component-helpers/resource"
)

// Rank orders pods by who should go first when a signal is starved: those that
// use more than they asked for, then the lower priority, then the larger use
// beyond the request. A pod of which nothing was measured goes before the others
// of its standing.
func Rank(s Signal, pods []*v1.Pod, uses map[string]Usage, l Layout) []*v1.Pod {
	type standing struct {
		pod      *v1.Pod
		measured bool
		exceeds  bool
		beyond   int64
	}
	all := make([]standing, len(pods))
	for i, p := range pods {
		use, ok := uses[string(p.UID)]
		st := standing{pod: p, measured: ok}
		request := helpers.PodRequests(p, helpers.PodResourcesOptions{})[s.Resource()]
		switch s.Resource() {
		case v1.ResourceMemory:
			st.beyond = use.Memory - request.Value()
			st.exceeds = st.beyond > 0
		case pids:
			st.beyond = use.PIDs
		default:
			st.beyond = use.disk(s, l, local(p)).of(s.Resource()) - request.Value()
			st.exceeds = st.beyond > 0
		}
		all[i] = st
	}
	unless := func(x, y bool) int { // those where it holds come first
		switch {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	}
	slices.SortStableFunc(all, func(x, y standing) int {
		first := unless(x.exceeds, y.exceeds)
		if !x.measured || !y.measured {
			first = unless(!x.measured, !y.measured)
		}
		if s.Resource() == pids {
			first = 0
		}
		return cmp.Or(first, cmp.Compare(priority(x.pod), priority(y.pod)),
			unless(!x.measured, !y.measured), cmp.Compare(y.beyond, x.beyond))
	})
	out := make([]*v1.Pod, len(all))
	for i, st := range all {
		out[i] = st.pod
	}
	return out
}

func priority(p *v1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}

const (
	systemCritical = 2000000000
	configSource   = "kubernetes.io/config.source"
	configMirror   = "kubernetes.io/config.mirror"
)

// Critical reports whether a pod is never evicted.
func Critical(p *v1.Pod) bool {
	source := p.Annotations[configSource]
	return source != "" && source != "api" || p.Annotations[configMirror] != "" || priority(p) >= systemCritical
}
