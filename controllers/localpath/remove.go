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
		if deletes && v.Status.Phase == corev1.VolumeReleased {
			return []controllers.Intent{controllers.Delete(o)}
		}
		return nil
	}
	if v.Status.Phase == corev1.VolumeBound || !slices.Contains(v.Finalizers, finalizer) {
		return nil
	}
	if deletes && v.Status.Reason != FolderRemoved && s.Get(controllers.Node.Key("", v.Annotations[AnnNode])).Exists() {
		return nil // its node sees it on its feed
	}
	changed := v.DeepCopy()
	changed.Finalizers = slices.DeleteFunc(changed.Finalizers, func(f string) bool { return f == finalizer })
	return []controllers.Intent{controllers.Update(o, changed)}
}
