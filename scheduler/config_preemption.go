package scheduler

import (
	"slices"

	configv1 "k8s.io/kube-scheduler/config/v1"
)

const defaultPreemption = "DefaultPreemption"

// preemptionOff reports that a profile disables preemption, at multiPoint or where it belongs.
func preemptionOff(p *configv1.Plugins) bool {
	off := false
	for _, set := range []configv1.PluginSet{p.MultiPoint, p.PostFilter} {
		named := func(d configv1.Plugin) bool { return d.Name == defaultPreemption }
		off = off || slices.ContainsFunc(set.Disabled, func(d configv1.Plugin) bool { return d.Name == "*" || named(d) })
		off = off && !slices.ContainsFunc(set.Enabled, named)
	}
	return off
}

// setPreemption reads how many nodes are tried before one is chosen.
func (s *settings) setPreemption(field string, args *configv1.DefaultPreemptionArgs) error {
	if n := args.MinCandidateNodesPercentage; n != nil {
		if *n < 0 || *n > 100 {
			return invalid(field+".minCandidateNodesPercentage", "%d is not between 0 and 100", *n)
		}
		s.preemption.percent = int(*n)
	}
	if n := args.MinCandidateNodesAbsolute; n != nil {
		if *n < 0 {
			return invalid(field+".minCandidateNodesAbsolute", "%d is below 0", *n)
		}
		s.preemption.absolute = int(*n)
	}
	if s.preemption.percent == 0 && s.preemption.absolute == 0 {
		return invalid(field, "minCandidateNodesPercentage and minCandidateNodesAbsolute can't both be 0")
	}
	return nil
}

// withoutPreemption is what else a profile says of a point.
func withoutPreemption(set configv1.PluginSet) configv1.PluginSet {
	is := func(d configv1.Plugin) bool { return d.Name == defaultPreemption || d.Name == "*" }
	return configv1.PluginSet{
		Enabled:  slices.DeleteFunc(slices.Clone(set.Enabled), is),
		Disabled: slices.DeleteFunc(slices.Clone(set.Disabled), is),
	}
}
