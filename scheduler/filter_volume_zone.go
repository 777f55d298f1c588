package scheduler

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// VolumeZone refuses nodes outside of the zone or region that a bound volume's labels
// name. Nodes that say neither are in all.
type VolumeZone struct{}

// Name is Kubernetes' name of it.
func (VolumeZone) Name() string { return "VolumeZone" }

// Refuses compares the labels of node and volumes.
func (VolumeZone) Refuses(cl *class, n *node) bool {
	if cl.claimed == nil || len(cl.claimed.zones) == 0 || !slices.ContainsFunc(zoneLabels, func(key string) bool { _, ok := n.object.Labels[key]; return ok }) {
		return false
	}
	return slices.ContainsFunc(cl.claimed.zones, func(z volumeZone) bool {
		value, ok := n.object.Labels[z.key]
		if !ok {
			value, ok = n.object.Labels[stableZoneLabel(z.key)]
		}
		return !ok || !slices.Contains(z.values, value)
	})
}

// Reasons are Kubernetes' words.
func (VolumeZone) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) had no available volume zone"}
}

// volumeZone is where a volume can be reached from.
type volumeZone struct {
	key    string
	values []string
}

var zoneLabels = []string{corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion, corev1.LabelTopologyZone, corev1.LabelTopologyRegion}

func stableZoneLabel(key string) string {
	switch key {
	case corev1.LabelFailureDomainBetaZone:
		return corev1.LabelTopologyZone
	case corev1.LabelFailureDomainBetaRegion:
		return corev1.LabelTopologyRegion
	}
	return key
}

// zonesOf are those that a volume's labels name; several are joined by "__".
func zonesOf(v *corev1.PersistentVolume) (out []volumeZone) {
	for _, key := range zoneLabels {
		if value, ok := v.Labels[key]; ok {
			out = append(out, volumeZone{key, strings.Split(value, "__")})
		}
	}
	return out
}
