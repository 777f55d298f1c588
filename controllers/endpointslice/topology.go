package endpointslice

import (
	"fmt"
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/endpointslice/topologycache"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// overload is how much more than its share an endpoint may be given to do.
const overload = 0.2

// topologyAuto reports a service whose endpoints are divided among zones. Its
// trafficDistribution isn't looked at then.
func topologyAuto(svc *corev1.Service) bool {
	mode, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !ok {
		mode = svc.Annotations[corev1.AnnotationTopologyMode]
	}
	return mode == "Auto" || mode == "auto"
}

// share is what a node counts for when endpoints are divided.
type share struct {
	counts bool
	zone   string
	cpu    int64 // thousandths of a processor
}

func shareOf(o *events.Object) share {
	if !o.Exists() {
		return share{}
	}
	node, ok := o.Value.(*corev1.Node)
	if !ok {
		return share{}
	}
	for _, not := range []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"} {
		if _, ok := node.Labels[not]; ok {
			return share{}
		}
	}
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return share{true, node.Labels[corev1.LabelTopologyZone], node.Status.Allocatable.Cpu().MilliValue()}
		}
	}
	return share{}
}

// partsOf gives each zone's part of all processors, nil if that isn't known of
// every node, or if there is one zone only.
func partsOf(s *projections.Snapshot) map[string]float64 {
	parts, all := map[string]float64{}, 0.0
	for o := range s.List("", "nodes", "") {
		switch n := shareOf(o); {
		case !n.counts:
		case n.zone == "" || n.cpu == 0:
			return nil
		default:
			parts[n.zone] += float64(n.cpu)
			all += float64(n.cpu)
		}
	}
	if len(parts) < 2 {
		return nil
	}
	for zone := range parts {
		parts[zone] /= all
	}
	return parts
}

// allocation is how many endpoints a zone is to have.
type allocation struct {
	least, most int
	wanted      float64
}

// allocate divides n endpoints; why says why that can't be done.
func allocate(parts map[string]float64, n int) (zones map[string]allocation, why string) {
	switch {
	case parts == nil:
		return nil, topologycache.InsufficientNodeInfo
	case len(parts) > n:
		return nil, fmt.Sprintf("%s (%d endpoints, %d zones)", topologycache.InsufficientNumberOfEndpoints, n, len(parts))
	}
	zones, all := map[string]allocation{}, 0
	for _, zone := range slices.Sorted(maps.Keys(parts)) {
		wanted := parts[zone] * float64(n)
		least := int(math.Ceil(wanted / (1 + overload)))
		zones[zone] = allocation{least: least, wanted: max(wanted, float64(least))}
		all += least
	}
	if all > n {
		return nil, fmt.Sprintf("%s (%d endpoints, %d zones)", topologycache.MinAllocationExceedsOverloadThreshold, n, len(parts))
	}
	for zone, a := range zones {
		a.most = a.least + n - all
		zones[zone] = a
	}
	return zones, ""
}

// divide hints at a zone for each ready endpoint, so that each zone's processors
// have about as much to do. Hints that are there stay while that holds. If it
// can't be done there are no hints, and why.
func divide(s *projections.Snapshot, want []*group, have []*events.Object) (why string) {
	var ready []*discoveryv1.Endpoint
	for _, g := range want {
		for _, uid := range g.order {
			if e := g.endpoints[uid]; *e.Conditions.Ready {
				ready = append(ready, &e)
			}
		}
	}
	zones, why := allocate(partsOf(s), len(ready))
	if why != "" {
		return why
	}
	if slices.ContainsFunc(ready, func(e *discoveryv1.Endpoint) bool { return e.Zone == nil || *e.Zone == "" }) {
		return topologycache.NoZoneSpecified
	}
	hints := kept(ready, zones, hinted(have))
	if hints == nil {
		hints = spread(ready, zones)
	}
	for _, g := range want {
		for uid, e := range g.endpoints {
			if zone, ok := hints[uid]; ok {
				e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
				g.endpoints[uid] = e
			}
		}
	}
	return ""
}

// hinted gives the zones that slices hint at, by pod.
func hinted(have []*events.Object) map[types.UID]string {
	out := map[types.UID]string{}
	for _, o := range have {
		for _, e := range o.Value.(*discoveryv1.EndpointSlice).Endpoints {
			if e.TargetRef != nil && e.Hints != nil && len(e.Hints.ForZones) == 1 {
				out[e.TargetRef.UID] = e.Hints.ForZones[0].Name
			}
		}
	}
	return out
}

// kept are the hints that are there, and for new endpoints their own zones; nil if
// a zone would have too few or too many.
func kept(ready []*discoveryv1.Endpoint, zones map[string]allocation, before map[types.UID]string) map[types.UID]string {
	if len(before) == 0 {
		return nil
	}
	out, count := map[types.UID]string{}, map[string]int{}
	for _, e := range ready {
		zone, ok := before[e.TargetRef.UID]
		if !ok {
			zone = *e.Zone
		}
		out[e.TargetRef.UID] = zone
		count[zone]++
		if _, ok := zones[zone]; !ok {
			return nil
		}
	}
	for zone, a := range zones {
		if count[zone] < a.least || count[zone] > a.most {
			return nil
		}
	}
	return out
}

// spread begins with each endpoint in its own zone, and moves what zones have too
// many of.
func spread(ready []*discoveryv1.Endpoint, zones map[string]allocation) map[types.UID]string {
	count := map[string]int{}
	for _, e := range ready {
		count[*e.Zone]++
	}
	give, take := transfers(zones, count)
	out := map[types.UID]string{}
	for _, e := range ready {
		zone := *e.Zone
		if give[zone] > 0 && len(take) > 0 {
			give[zone]--
			zone, take = take[0], take[1:]
		}
		out[e.TargetRef.UID] = zone
	}
	return out
}

// transfers gives how many endpoints zones give away, and which zones take them.
func transfers(zones map[string]allocation, count map[string]int) (give map[string]int, take []string) {
	surplus, lack := map[string]float64{}, map[string]float64{}
	for zone, n := range count {
		if over := float64(n) - zones[zone].wanted; over > 0 {
			surplus[zone] = over
		}
	}
	for zone, a := range zones {
		if under := a.wanted - float64(count[zone]); under > 0 {
			lack[zone] = under
		}
	}
	give = map[string]int{}
	for {
		from, to := most(surplus), most(lack)
		if surplus[from] < 0.5 || lack[to] < 0.5 || surplus[from] < 1 && lack[to] < 1 {
			return give, take
		}
		give[from]++
		surplus[from]--
		take = append(take, to)
		lack[to]--
	}
}

// most is the zone with the highest number, the first of them by name.
func most(zones map[string]float64) string {
	best := ""
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		if best == "" || zones[zone] > zones[best] {
			best = zone
		}
	}
	return best
}

// told is what a service's Event says when its endpoints begin to be divided, or
// aren't any more.
func told(s *projections.Snapshot, svc *corev1.Service, family discoveryv1.AddressType, have []*events.Object, why string) []controllers.Intent {
	before, auto := len(hinted(have)) > 0, topologyAuto(svc)
	reason, note := "TopologyAwareHintsDisabled", why
	switch {
	case auto && why == "" && !before:
		reason, note = "TopologyAwareHintsEnabled", topologycache.TopologyAwareHintsEnabled
	case auto && why != "" && (before || len(have) == 0):
	default:
		return nil
	}
	o := s.Get(controllers.Service.Key(svc.Namespace, svc.Name))
	return []controllers.Intent{controllers.Progressed(o, svc).Because(reason, "%s", topologycache.FormatWithAddressType(note, family))}
}

// topologyChanged maps a change of what zones have to the services whose endpoints
// are divided among them.
func topologyChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if shareOf(c.Old) == shareOf(c.New) {
		return
	}
	for svc := range projections.List[*corev1.Service](s, "", "services", "") {
		if topologyAuto(svc) {
			add(controllers.Service.Key(svc.Namespace, svc.Name))
		}
	}
}
