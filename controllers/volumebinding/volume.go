package volumebinding

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// volume looks after one volume's phase and, once its claim is gone, its end.
//
//	Available ──► Bound ──► Released ──► (its provisioner deletes it)
//	    ▲                       │  └───► Failed (nobody does)
//	    └── claimRef removed ───┘
func volume(s *projections.Snapshot, o *events.Object, v *corev1.PersistentVolume) []controllers.Intent {
	ref := v.Spec.ClaimRef
	if ref == nil || ref.UID == "" {
		return phase(o, v, corev1.VolumeAvailable)
	}
	claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, controllers.PersistentVolumeClaim.Key(ref.Namespace, ref.Name))
	switch {
	case !ok || claim.UID != ref.UID:
		return release(o, v)
	case claim.Spec.VolumeName == "":
		return nil // the claim's own look finishes it
	case claim.Spec.VolumeName == v.Name:
		if v.Status.Phase == corev1.VolumeBound || claim.DeletionTimestamp == nil && claim.Status.Phase == corev1.ClaimLost {
			return nil
		}
		return phase(o, v, corev1.VolumeBound)
	case v.Annotations[annProvisionedBy] != "" && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		return release(o, v)
	}
	return unbind(o, v)
}

func phase(o *events.Object, v *corev1.PersistentVolume, to corev1.PersistentVolumePhase) []controllers.Intent {
	if v.Status.Phase == to {
		return nil
	}
	changed := v.DeepCopy()
	changed.Status.Phase, changed.Status.Message, changed.Status.Reason = to, "", ""
	return []controllers.Intent{controllers.Progressed(o, changed)}
}

// release marks a volume whose claim is gone, and then sees to its policy.
func release(o *events.Object, v *corev1.PersistentVolume) []controllers.Intent {
	switch v.Status.Phase {
	case corev1.VolumeFailed:
		return nil
	case corev1.VolumeReleased:
		return reclaim(o, v)
	}
	changed := v.DeepCopy()
	changed.Status.Phase, changed.Status.Message, changed.Status.Reason = corev1.VolumeReleased, "", ""
	return []controllers.Intent{controllers.Append(events.Released, o, changed).
		Because("", "claim %s/%s is gone", v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name)}
}

// reclaim carries out what no provisioner does.
func reclaim(o *events.Object, v *corev1.PersistentVolume) []controllers.Intent {
	if v.DeletionTimestamp != nil || v.Annotations[annMigratedTo] != "" {
		return nil
	}
	switch v.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimRetain:
		return nil
	case corev1.PersistentVolumeReclaimDelete:
		by := v.Annotations[annProvisionedBy]
		if by != "" && !strings.HasPrefix(by, "kubernetes.io/") || by == "" && v.Spec.CSI != nil {
			return nil
		}
		return failed(o, v, "VolumeFailedDelete", fmt.Sprintf("error getting deleter volume plugin for volume %q: no deletable volume plugin matched", v.Name))
	case corev1.PersistentVolumeReclaimRecycle:
		return failed(o, v, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
	}
	return failed(o, v, "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
}

func failed(o *events.Object, v *corev1.PersistentVolume, reason, message string) []controllers.Intent {
	changed := v.DeepCopy()
	changed.Status.Phase, changed.Status.Message = corev1.VolumeFailed, message
	return []controllers.Intent{controllers.Progressed(o, changed).Because(reason, "%s", message)}
}

// unbind frees a volume whose claim has another one.
func unbind(o *events.Object, v *corev1.PersistentVolume) []controllers.Intent {
	changed := v.DeepCopy()
	if _, ok := v.Annotations[annBoundByUs]; ok {
		changed.Spec.ClaimRef = nil
		delete(changed.Annotations, annBoundByUs)
	} else {
		changed.Spec.ClaimRef.UID, changed.Spec.ClaimRef.ResourceVersion = "", "" // its user wants that claim
	}
	changed.Status.Phase = corev1.VolumeAvailable
	return []controllers.Intent{controllers.Append(events.Released, o, changed).
		Because("", "claim %s/%s has another volume", v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name)}
}
