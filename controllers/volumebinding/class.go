package volumebinding

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// The annotations by which Kubernetes' storage components work together.
const (
	annBindCompleted   = storagehelpers.AnnBindCompleted
	annBoundByUs       = storagehelpers.AnnBoundByController
	annProvisioner     = storagehelpers.AnnStorageProvisioner
	annBetaProvisioner = storagehelpers.AnnBetaStorageProvisioner
	annProvisionedBy   = storagehelpers.AnnDynamicallyProvisioned
	annMigratedTo      = storagehelpers.AnnMigratedTo
	annDefaultClass    = "storageclass.kubernetes.io/is-default-class"
	annBetaDefault     = "storageclass.beta.kubernetes.io/is-default-class"
)

func classOf(claim *corev1.PersistentVolumeClaim) string {
	return storagehelpers.GetPersistentVolumeClaimClass(claim)
}

func hasClass(claim *corev1.PersistentVolumeClaim) bool {
	return storagehelpers.PersistentVolumeClaimHasClass(claim)
}

func storageClass(s *projections.Snapshot, name string) (*storagev1.StorageClass, bool) {
	return projections.Get[*storagev1.StorageClass](s, controllers.StorageClass.Key("", name))
}

// waitsForConsumer reports that a class' volumes are to be bound when a pod that
// uses them has a node.
func waitsForConsumer(class *storagev1.StorageClass) bool {
	return class != nil && class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

// defaultClass is the newest class marked as default, of equals the first by name.
func defaultClass(s *projections.Snapshot) *storagev1.StorageClass {
	var found *storagev1.StorageClass
	for class := range projections.List[*storagev1.StorageClass](s, "storage.k8s.io", "storageclasses", "") {
		if class.Annotations[annDefaultClass] != "true" && class.Annotations[annBetaDefault] != "true" {
			continue
		}
		if found == nil || found.CreationTimestamp.Before(&class.CreationTimestamp) {
			found = class
		}
	}
	return found
}

// assignDefault gives a claim that was made before there was a default class that class.
func assignDefault(s *projections.Snapshot, o *events.Object, claim *corev1.PersistentVolumeClaim) []controllers.Intent {
	if hasClass(claim) {
		return nil
	}
	class := defaultClass(s)
	if class == nil {
		return nil
	}
	changed := claim.DeepCopy()
	changed.Spec.StorageClassName = &class.Name
	return []controllers.Intent{controllers.Update(o, changed)}
}
