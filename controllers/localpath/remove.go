package localpath

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// remove deletes a volume whose claim is gone, and lets it go once its folder
// is gone too, or was to be kept.
func remove(s *projections.Snapshot, o *events.Object, v *corev1.PersistentVolume) []controllers.Intent {
	deletes := v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
	if v.DeletionTimestamp == nil {
		if deletes && v.Status.Phase == corev1.VolumeReleased && claimIsGone(s, v) {
			return []controllers.Intent{controllers.Delete(o)}
		}
		return nil
	}
	if v.Status.Phase == corev1.VolumeBound || !slices.Contains(v.Finalizers, finalizer) {
		return nil
	}
	if deletes && !folderIsGone(o, v) && s.Get(controllers.Node.Key("", v.Annotations[AnnNode])).Exists() {
		return nil // its node sees it on its feed
	}
	changed := v.DeepCopy()
	changed.Finalizers = slices.DeleteFunc(changed.Finalizers, func(f string) bool { return f == finalizer })
	return []controllers.Intent{controllers.Update(o, changed)}
}

// claimIsGone looks for itself: any node can report about a volume's status.
func claimIsGone(s *projections.Snapshot, v *corev1.PersistentVolume) bool {
	ref := v.Spec.ClaimRef
	if ref == nil {
		return false
	}
	claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, controllers.PersistentVolumeClaim.Key(ref.Namespace, ref.Name))
	return !ok || claim.UID != ref.UID || claim.Spec.VolumeName != "" && claim.Spec.VolumeName != v.Name
}

// folderIsGone believes the volume's own node only.
func folderIsGone(o *events.Object, v *corev1.PersistentVolume) bool {
	_, reported := o.Counters.Of(v.Annotations[AnnNode])
	return reported && v.Status.Reason == FolderRemoved
}
