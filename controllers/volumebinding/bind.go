package volumebinding

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// bind does the half of a binding that is missing: first the volume's, then, on
// a later look, the claim's.
func bind(vo, co *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	v := vo.Value.(*corev1.PersistentVolume)
	if changed := boundVolume(v, claim); changed != nil {
		return []controllers.Intent{controllers.Append(events.Bound, vo, changed).Because("", "bound to claim %s/%s", claim.Namespace, claim.Name)}
	}
	changed := claimOn(v, claim)
	if equality.Semantic.DeepEqual(claim, changed) {
		return nil
	}
	i := controllers.Append(events.Bound, co, changed).Because("", "bound to volume %s", v.Name)
	if by := v.Annotations[annProvisionedBy]; by == localPath && claim.Status.Phase != corev1.ClaimBound {
		i = i.Because("ProvisioningSucceeded", "Successfully provisioned volume %s", v.Name)
	}
	return []controllers.Intent{i}
}

// localPath is the built-in provisioner, which tells of its success here; others tell themselves.
const localPath = "reckon.dev/local-path"

// boundVolume is the volume as bound to a claim, nil if it is so already.
func boundVolume(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	ref := v.Spec.ClaimRef
	named := storagehelpers.IsVolumeBoundToClaim(v, claim)
	if named && ref.UID == claim.UID && v.Status.Phase == corev1.VolumeBound {
		return nil
	}
	changed := v.DeepCopy()
	if !named {
		annotate(changed, annBoundByUs, "yes")
	}
	if !named || ref.UID != claim.UID {
		changed.Spec.ClaimRef = &corev1.ObjectReference{
			Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name,
			UID: claim.UID, ResourceVersion: claim.ResourceVersion,
		}
	}
	changed.Status.Phase, changed.Status.Message, changed.Status.Reason = corev1.VolumeBound, "", ""
	return changed
}

// claimOn is the claim as bound to a volume.
func claimOn(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	changed := claim.DeepCopy()
	if claim.Spec.VolumeName != v.Name {
		changed.Spec.VolumeName = v.Name
		annotate(changed, annBoundByUs, "yes")
	}
	if _, ok := claim.Annotations[annBindCompleted]; !ok {
		annotate(changed, annBindCompleted, "yes")
	}
	delete(changed.Annotations, annTold)
	changed.Status.AccessModes = slices.Clone(v.Spec.AccessModes)
	if claim.Status.Phase != corev1.ClaimBound {
		if claim.Status.Phase != corev1.ClaimLost {
			changed.Status.CurrentVolumeAttributesClassName = v.Spec.VolumeAttributesClassName
		}
		changed.Status.Phase = corev1.ClaimBound
		changed.Status.Capacity = v.Spec.Capacity.DeepCopy() // later it is the resizers'
	}
	return changed
}
