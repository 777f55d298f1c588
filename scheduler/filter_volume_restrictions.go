package scheduler

import (
	"slices"

	"github.com/reckon-project/reckon/events"
)

// VolumeRestrictions refuses all nodes while another pod has a claim that is
// for one pod only (ReadWriteOncePod). That pod may be made to go.
type VolumeRestrictions struct{}

// Name is Kubernetes' name of it.
func (VolumeRestrictions) Name() string { return "VolumeRestrictions" }

// Refuses looks at who has the claims now.
func (VolumeRestrictions) Refuses(cl *class, _ *node) bool {
	return cl.claimed != nil && cl.claimed.used &&
		slices.ContainsFunc(cl.claimed.exclusive, func(key events.Key) bool { return cl.claimed.users[key] > 0 })
}

// Reasons are Kubernetes' words.
func (VolumeRestrictions) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"}
}
