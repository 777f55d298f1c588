package localpath

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"
)

// DoomedOn names the node that is to remove a volume's folder, "" if none is.
func DoomedOn(v *corev1.PersistentVolume) string {
	if v.DeletionTimestamp == nil || v.Status.Phase == corev1.VolumeBound ||
		v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete ||
		v.Annotations[storagehelpers.AnnDynamicallyProvisioned] != Provisioner || !slices.Contains(v.Finalizers, finalizer) {
		return ""
	}
	return v.Annotations[AnnNode]
}
