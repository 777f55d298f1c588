package scheduler

// VolumeRestrictions refuses all nodes while another pod has a claim that is
// for one pod only (ReadWriteOncePod).
type VolumeRestrictions struct{}

func (VolumeRestrictions) Name() string { return "VolumeRestrictions" }

func (VolumeRestrictions) Refuses(cl *class, _ *node) bool {
	return cl.claimed != nil && cl.claimed.used
}

func (VolumeRestrictions) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"}
}
