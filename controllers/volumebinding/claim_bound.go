package volumebinding

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// boundClaim looks after a claim that has had its volume.
func boundClaim(s *projections.Snapshot, o *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	if claim.Spec.VolumeName == "" {
		return lost(o, claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	}
	vo := s.Get(volumeKey(claim.Spec.VolumeName))
	v, ok := valueOf[*corev1.PersistentVolume](vo)
	switch {
	case !ok:
		return lost(o, claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID == claim.UID || v.Spec.ClaimRef.UID == "" && names(v, claim):
		return bind(vo, o, claim)
	}
	return lost(o, claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
}

func names(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	return v.Spec.ClaimRef.Namespace == claim.Namespace && v.Spec.ClaimRef.Name == claim.Name
}

func lost(o *events.Object, claim *corev1.PersistentVolumeClaim, reason, note string) []controllers.Intent {
	if claim.Status.Phase == corev1.ClaimLost {
		return nil
	}
	changed := claim.DeepCopy()
	changed.Status.Phase, changed.Status.AccessModes, changed.Status.Capacity = corev1.ClaimLost, nil, nil
	changed.Status.CurrentVolumeAttributesClassName = nil
	return []controllers.Intent{controllers.Progressed(o, changed).Because(reason, "%s", note)}
}
