package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	configv1 "k8s.io/kube-scheduler/config/v1"
)

// outlookSettings are the arguments of InterPodAffinity and PodTopologySpread.
type outlookSettings struct {
	nearWeight    int64 // what the required affinity of a pod on a node counts for those it is about
	ignoresTheirs bool  // the preferences of pods on nodes don't count for pods without any
	spreads       []constraint
	systemSpreads bool // spreads are Kubernetes' own
}

// usualOutlook is Kubernetes': pods of a service or set are spread over zones and
// nodes, as far as it costs nothing else much.
func usualOutlook() outlookSettings {
	return outlookSettings{nearWeight: 1, systemSpreads: true, spreads: []constraint{
		{topologyKey: corev1.LabelHostname, maxSkew: 3, minDomains: 1, selected: true},
		{topologyKey: corev1.LabelTopologyZone, maxSkew: 5, minDomains: 1, selected: true},
	}}
}

func (s *outlookSettings) setBetween(field string, args *configv1.InterPodAffinityArgs) error {
	if w := args.HardPodAffinityWeight; w != nil {
		if *w < 0 || *w > 100 {
			return invalid(field+".hardPodAffinityWeight", "%d is not between 0 and 100", *w)
		}
		s.nearWeight = int64(*w)
	}
	s.ignoresTheirs = args.IgnorePreferredTermsOfExistingPods
	return nil
}

func (s *outlookSettings) setSpreads(field string, args *configv1.PodTopologySpreadArgs) error {
	switch args.DefaultingType {
	case "", configv1.SystemDefaulting:
		if len(args.DefaultConstraints) > 0 {
			return invalid(field+".defaultConstraints", "with the defaulting type System there are none to choose: say List")
		}
		return nil
	case configv1.ListDefaulting:
	default:
		return invalid(field+".defaultingType", "%q is none of System, List", args.DefaultingType)
	}
	for i := range args.DefaultConstraints {
		c, at := &args.DefaultConstraints[i], fmt.Sprintf("%s.defaultConstraints[%d]", field, i)
		switch {
		case c.LabelSelector != nil:
			return invalid(at+".labelSelector", "the pods of a service or set are counted: it can't be chosen")
		case c.MaxSkew < 1:
			return invalid(at+".maxSkew", "%d is not above 0", c.MaxSkew)
		case c.TopologyKey == "":
			return invalid(at+".topologyKey", "it must be said")
		case c.WhenUnsatisfiable != corev1.DoNotSchedule && c.WhenUnsatisfiable != corev1.ScheduleAnyway:
			return invalid(at+".whenUnsatisfiable", "%q is none of DoNotSchedule, ScheduleAnyway", c.WhenUnsatisfiable)
		}
		c.LabelSelector = &metav1.LabelSelector{}
	}
	s.systemSpreads, s.spreads = false, parseConstraints(&corev1.Pod{}, args.DefaultConstraints)
	return nil
}
