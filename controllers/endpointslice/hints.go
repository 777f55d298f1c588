package endpointslice

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// hintsOf says where a ready endpoint is best used from, as the service's
// trafficDistribution asks; nil: everywhere.
func hintsOf(svc *corev1.Service, e *discoveryv1.Endpoint) *discoveryv1.EndpointHints {
	if svc.Spec.TrafficDistribution == nil || !*e.Conditions.Ready || topologyAuto(svc) {
		return nil
	}
	var hints discoveryv1.EndpointHints
	switch *svc.Spec.TrafficDistribution {
	case corev1.ServiceTrafficDistributionPreferSameNode:
		if e.NodeName != nil {
			hints.ForNodes = []discoveryv1.ForNode{{Name: *e.NodeName}}
		}
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone:
	default:
		return nil
	}
	if e.Zone != nil {
		hints.ForZones = []discoveryv1.ForZone{{Name: *e.Zone}}
	}
	if hints.ForNodes == nil && hints.ForZones == nil {
		return nil
	}
	return &hints
}

// nodeChanged maps a node that came, went or changed its zone to the services of
// its pods.
func nodeChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event == nil {
		return // services come by as well
	}
	topologyChanged(s, c, add)
	was, is := zoneOf(c.Old), zoneOf(c.New)
	if c.Old.Exists() == c.New.Exists() && was == is {
		return
	}
	for o := range s.PodsOn(controllers.KeyOf(c).Name) {
		pod := podOf(o)
		if !addressed(pod) {
			continue
		}
		for svc := range projections.List[*corev1.Service](s, "", "services", pod.Namespace) {
			if selects(svc, pod) {
				add(controllers.Service.Key(svc.Namespace, svc.Name))
			}
		}
	}
}

func zoneOf(o *events.Object) string {
	if !o.Exists() {
		return ""
	}
	return o.Meta().GetLabels()[corev1.LabelTopologyZone]
}
