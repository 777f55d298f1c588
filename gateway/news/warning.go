package news

import "strings"

// warns reports whether it is bad news.
func (s *story) warns() bool {
	reason := s.reason
	switch {
	case reason == "NodeNotReady" && s.about.Kind == "Node", reason == "Preempted",
		reason == "FailedBinding" && strings.HasPrefix(s.note, "no persistent volumes available"):
		return false // to Kubernetes these are everyday things
	}
	for _, prefix := range []string{"Failed", "BackOff", "Ambiguous", "SelectorRequired", "TooManyAddresses", "Unhealthy", "Unmanaged", "Evict", "Err", "Invalid", "OOM", "Preempt", "NodeNotReady", "NodeLost", "NetworkNotReady", "ClaimLost", "ClaimMisbound", "VolumeFailed", "VolumeUnknown", "OutOf"} {
		if strings.HasPrefix(reason, prefix) {
			return true
		}
	}
	if bad[reason] {
		return true
	}
	for _, suffix := range []string{"BackOff", "Failed", "Exceeded", "Killed", "NotReady", "Mismatch"} {
		if strings.HasSuffix(reason, suffix) {
			return true
		}
	}
	return false
}

// bad are reasons of bad news that don't sound like it.
var bad = map[string]bool{
	"PodFailurePolicy": true, "TooManySucceededPods": true, "UnexpectedJob": true, "MissSchedule": true,
	"ReplicaSetCreateError": true, "DeploymentRollbackRevisionNotFound": true, "DeploymentRollbackTemplateUnchanged": true,
	"OwnerRefInvalidNamespace": true, "TooManyMissedTimes": true, "UnparseableSchedule": true, "UnknownTimeZone": true, "UnsupportedSchedule": true,
	"SysctlForbidden": true, "AppArmor": true, "PodOSNotSupported": true, "PodOSSelectorNodeLabelDoesNotMatch": true, "SupplementalGroupsPolicyNotSupported": true,
	"ProbeWarning": true, "ResizeDeferred": true, "ResizeInfeasible": true, "ResizeError": true,
	"MultiplePodDisruptionBudgets": true, "UnexpectedAdmissionError": true, "NodeShutdown": true, "NotDeleted": true, "ConflictingController": true, "SelectingAll": true, "TopologyAwareHintsDisabled": true,
}
