package scheduler

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	configv1 "k8s.io/kube-scheduler/config/v1"
)

// settings are what the arguments of plugins say.
type settings struct {
	fit           resourcesScore
	balanced      []scoredResource
	ignored       map[string]bool // extended resources that NodeResourcesFit doesn't look at
	ignoredGroups map[string]bool // likewise: all of a domain
	added         *addedAffinity  // nil: none
	outlookSettings
	preemption preemptionArgs
}

// usualSettings are those without any arguments.
func usualSettings() settings {
	return settings{ignored: map[string]bool{}, ignoredGroups: map[string]bool{}, fit: leastAllocated, balanced: leastAllocated.resources, outlookSettings: usualOutlook(), preemption: usualPreemption}
}

// parseArgs reads the arguments of a profile's plugins.
func parseArgs(at string, configs []configv1.PluginConfig) (settings, error) {
	s := usualSettings()
	for i, c := range configs {
		field := fmt.Sprintf("%s.pluginConfig[%d]", at, i)
		var err error
		switch args := c.Args.Object.(type) {
		case *configv1.NodeResourcesFitArgs:
			err = s.setFit(field+".args", args)
		case *configv1.NodeResourcesBalancedAllocationArgs:
			s.balanced, err = balancedResources(field+".args.resources", args.Resources)
		case *configv1.NodeAffinityArgs:
			s.added, err = parseAddedAffinity(field+".args.addedAffinity", args.AddedAffinity)
		case *configv1.InterPodAffinityArgs:
			err = s.setBetween(field+".args", args)
		case *configv1.PodTopologySpreadArgs:
			err = s.setSpreads(field+".args", args)
		case *configv1.DefaultPreemptionArgs:
			err = s.setPreemption(field+".args", args)
		default:
			err = s.setOther(field, c)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// setOther passes over the arguments of plugins that change nothing here, and
// refuses those that this scheduler has no use for.
func (s *settings) setOther(field string, c configv1.PluginConfig) error {
	if args, ok := c.Args.Object.(*configv1.VolumeBindingArgs); ok {
		if len(args.Shape) > 0 {
			return invalid(field+".args.shape", "this scheduler doesn't score the room of storage")
		}
		return nil // how long to wait for a volume: here a pod waits until there is one
	}
	return invalid(field, "arguments of the plugin %s can't be chosen in this scheduler", c.Name)
}

func (s *settings) setFit(field string, args *configv1.NodeResourcesFitArgs) (err error) {
	for _, name := range args.IgnoredResources {
		s.ignored[name] = true
	}
	for i, group := range args.IgnoredResourceGroups {
		if strings.Contains(group, "/") {
			return invalid(fmt.Sprintf("%s.ignoredResourceGroups[%d]", field, i), "%q holds a slash: it is the part before that", group)
		}
		s.ignoredGroups[group] = true
	}
	if args.ScoringStrategy != nil {
		s.fit, err = parseStrategy(field+".scoringStrategy", args.ScoringStrategy)
	}
	return err
}

func parseStrategy(field string, s *configv1.ScoringStrategy) (out resourcesScore, err error) {
	out = leastAllocated
	switch s.Type {
	case "", configv1.LeastAllocated:
	case configv1.MostAllocated:
		out.strategy = s.Type
	case configv1.RequestedToCapacityRatio:
		out.strategy = s.Type
		if s.RequestedToCapacityRatio == nil {
			return out, invalid(field+".requestedToCapacityRatio.shape", "it needs at least one point")
		}
		if out.shape, err = parseShape(field+".requestedToCapacityRatio.shape", s.RequestedToCapacityRatio.Shape); err != nil {
			return out, err
		}
	default:
		return out, invalid(field+".type", "%q is none of LeastAllocated, MostAllocated, RequestedToCapacityRatio", s.Type)
	}
	if len(s.Resources) > 0 {
		out.resources, err = scoredResources(field+".resources", s.Resources, 100)
	}
	return out, err
}

func parseShape(field string, shape []configv1.UtilizationShapePoint) ([]configv1.UtilizationShapePoint, error) {
	if len(shape) == 0 {
		return nil, invalid(field, "it needs at least one point")
	}
	for i, p := range shape {
		point := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case p.Utilization < 0 || p.Utilization > 100:
			return nil, invalid(point+".utilization", "%d is not between 0 and 100", p.Utilization)
		case p.Score < 0 || p.Score > 10:
			return nil, invalid(point+".score", "%d is not between 0 and 10", p.Score)
		case i > 0 && p.Utilization <= shape[i-1].Utilization:
			return nil, invalid(point+".utilization", "the points must be in order of utilization")
		}
	}
	return shape, nil
}

// scoredResources reads a list of resources with weights up to a limit.
func scoredResources(field string, list []configv1.ResourceSpec, limit int64) (out []scoredResource, err error) {
	names := newResourceNames()
	for i, r := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		w := r.Weight
		if w == 0 {
			w = 1
		}
		if w < 1 || w > limit {
			return nil, invalid(at+".weight", "%d is not between 1 and %d", w, limit)
		}
		for _, o := range out {
			if string(o.name) == r.Name {
				return nil, invalid(at+".name", "%s is there twice", r.Name)
			}
		}
		out = append(out, scoredResource{name: corev1.ResourceName(r.Name), weight: w, index: names.of(corev1.ResourceName(r.Name))})
	}
	return out, nil
}

func balancedResources(field string, list []configv1.ResourceSpec) ([]scoredResource, error) {
	if len(list) == 0 {
		return leastAllocated.resources, nil
	}
	return scoredResources(field, list, 1)
}

// addedAffinity is what a profile asks of the nodes of all its pods.
type addedAffinity struct {
	required        *nodeaffinity.NodeSelector             // nil: nothing
	preferred       *nodeaffinity.PreferredSchedulingTerms // nil: nothing
	preferredWeight int64
}

func parseAddedAffinity(field string, a *corev1.NodeAffinity) (*addedAffinity, error) {
	if a == nil {
		return nil, nil
	}
	out := &addedAffinity{}
	var errs []error
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		var err error
		if out.required, err = nodeaffinity.NewNodeSelector(r); err != nil {
			errs = append(errs, err)
		}
	}
	if terms := a.PreferredDuringSchedulingIgnoredDuringExecution; len(terms) > 0 {
		var err error
		if out.preferred, err = nodeaffinity.NewPreferredSchedulingTerms(terms); err != nil {
			errs = append(errs, err)
		}
		for _, t := range terms {
			out.preferredWeight += int64(t.Weight)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, invalid(field, "%v", err)
	}
	return out, nil
}
